package proxy

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mcpgateway/mcpgateway/listeners"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/tls"
	"github.com/mcpgateway/mcpgateway/tls/spiffe"
)

// fillSPIFFE puts what the Workload APIs deliver where the contents of files
// would stand, so that from here on a rotation by an agent is one by file: it
// is compared, planned, committed and drained in the same way. It waits for the
// first delivery of a socket until ctx ends.
func (c *Config) fillSPIFFE(ctx context.Context, sources *spiffe.Sources) error {
	get := func(at string, s *tls.SPIFFE) (*spiffe.Material, error) {
		m, err := sources.Get(ctx, s.Socket)
		if err != nil {
			return nil, fmt.Errorf("%s.tls.spiffe: %w", at, err)
		}
		return m, nil
	}
	var errs []error
	for i := range c.Listeners {
		t := c.Listeners[i].TLS
		if t == nil || t.SPIFFE == nil {
			continue
		}
		m, err := get("listener "+c.Listeners[i].Name, t.SPIFFE)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		fillServer(t, m)
	}
	for i := range c.Clusters {
		t := c.Clusters[i].TLS
		if t == nil || t.SPIFFE == nil {
			continue
		}
		m, err := get("cluster "+c.Clusters[i].Name, t.SPIFFE)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		t.CACert, t.ClientCert, t.ClientKey = delivered(m, m.BundlePEM), delivered(m, m.CertPEM), config.Secret{File: delivered(m, m.KeyPEM)}
	}
	return errors.Join(errs...)
}

func fillServer(t *tls.ServerConfig, m *spiffe.Material) {
	if len(t.Certificates) == 0 {
		t.Certificates = []tls.KeyPair{{Cert: delivered(m, m.CertPEM), Key: config.Secret{File: delivered(m, m.KeyPEM)}}}
	}
	auths := []*tls.ClientAuth{&t.ClientAuth}
	for _, p := range t.Policies {
		if p.ClientAuth != nil {
			auths = append(auths, p.ClientAuth)
		}
	}
	for _, a := range auths {
		if a.Mode != tls.ClientAuthNone && a.CACert.IsZero() {
			a.CACert = delivered(m, m.BundlePEM)
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

// delivered is a file that stands nowhere.
func delivered(m *spiffe.Material, data []byte) config.File {
	return config.File{Path: m.ID, Data: data}
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

func (g *Gateway) traceSPIFFE() *spiffe.Trace {
	return &spiffe.Trace{
		Updated: func(socket, id string) {
			g.logs.Logger().Info().Str("socket", socket).Str("id", id).Msg("the Workload API delivered an identity")
		},
		Failed: func(socket string, err error) {
			g.logs.Logger().Warn().Str("socket", socket).Err(err).Msg("the Workload API delivers nothing of use; what it delivered last stays")
		},
	}
}
