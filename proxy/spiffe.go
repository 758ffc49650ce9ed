package proxy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/mcpgateway/mcpgateway/listeners"
	"github.com/mcpgateway/mcpgateway/tls"
	"github.com/mcpgateway/mcpgateway/tls/spiffe"
)

// identityTimeout is how long at least a generation waits for an identity.
// reload.warm_timeout may be less: without health a cluster is of use, a
// listener without its certificate is not.
const identityTimeout = 10 * time.Second

// withIdentities puts what the Workload APIs deliver where the contents of files
// would stand, so that from here on a rotation by an agent is one by file: it
// is compared, planned, committed and drained in the same way. c stays as the
// file gave it, for the next rotation; it is the result where it names no
// Workload API. What such a one has not delivered yet is waited for.
func (c *Config) withIdentities(ctx context.Context, sources *spiffe.Sources) (*Config, error) {
	sockets := c.spiffeSockets()
	if len(sockets) == 0 {
		return c, nil
	}
	wait := max(c.Reload.WarmTimeout, identityTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, wait, fmt.Errorf("waited %s", wait))
	defer cancel()
	type delivery struct {
		material *spiffe.Material
		err      error
	}
	deliveries := make([]delivery, len(sockets))
	var waiting sync.WaitGroup
	for i, socket := range sockets {
		// All at once: one that is down must not use up the time of the others.
		waiting.Go(func() { deliveries[i].material, deliveries[i].err = sources.Get(ctx, socket) })
	}
	waiting.Wait()

	var errs []error
	get := func(name string, s *tls.SPIFFE) *spiffe.Material {
		i, _ := slices.BinarySearch(sockets, s.Socket)
		if err := deliveries[i].err; err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
		return deliveries[i].material
	}
	filled := *c
	filled.Listeners, filled.Clusters = slices.Clone(c.Listeners), slices.Clone(c.Clusters)
	for i := range filled.Listeners {
		l := &filled.Listeners[i]
		if l.TLS == nil || l.TLS.SPIFFE == nil {
			continue
		}
		if m := get("listener "+l.Name, l.TLS.SPIFFE); m != nil {
			t := *l.TLS
			fillServer(&t, m)
			l.TLS = &t
		}
	}
	for i := range filled.Clusters {
		cl := &filled.Clusters[i]
		if cl.TLS == nil || cl.TLS.SPIFFE == nil {
			continue
		}
		if m := get("cluster "+cl.Name, cl.TLS.SPIFFE); m != nil {
			t := *cl.TLS
			t.CACert, t.ClientCert, t.ClientKey = m.Bundle, m.Cert, m.Key
			cl.TLS = &t
		}
	}
	return &filled, errors.Join(errs...)
}

// fillServer writes to t alone, and to nothing that it points to.
func fillServer(t *tls.ServerConfig, m *spiffe.Material) {
	if len(t.Certificates) == 0 {
		t.Certificates = []tls.KeyPair{{Cert: m.Cert, Key: m.Key}}
	}
	auths := []*tls.ClientAuth{&t.ClientAuth}
	t.Policies = slices.Clone(t.Policies)
	for i := range t.Policies {
		if p := &t.Policies[i]; p.ClientAuth != nil {
			own := *p.ClientAuth
			p.ClientAuth = &own
			auths = append(auths, &own)
		}
	}
	for _, a := range auths {
		if a.Mode != tls.ClientAuthNone && a.CACert.IsZero() {
			a.CACert = m.Bundle
		}
	}
}

// withoutSPIFFE leaves out what cannot be built before an agent has delivered.
func (c *Config) withoutSPIFFE() {
	c.Listeners = slices.DeleteFunc(c.Listeners, func(l listeners.Config) bool { return l.TLS != nil && l.TLS.SPIFFE != nil })
	for i := range c.Clusters {
		if t := c.Clusters[i].TLS; t != nil && t.SPIFFE != nil {
			c.Clusters[i].TLS = nil
		}
	}
}

// spiffeSockets are the Workload APIs that the file names.
func (c *Config) spiffeSockets() []string {
	var sockets []string
	for _, l := range c.Listeners {
		if l.TLS != nil && l.TLS.SPIFFE != nil {
			sockets = append(sockets, l.TLS.SPIFFE.Socket)
		}
	}
	for _, cl := range c.Clusters {
		if cl.TLS != nil && cl.TLS.SPIFFE != nil {
			sockets = append(sockets, cl.TLS.SPIFFE.Socket)
		}
	}
	slices.Sort(sockets)
	return slices.Compact(sockets)
}
