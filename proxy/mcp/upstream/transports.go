package upstream

import (
	"sync"

	"github.com/mcpgateway/mcpgateway/clusters"
)

// maxTransports bounds what is remembered; endpoints come and go with the
// addresses of names.
const maxTransports = 4096

// Transports remembers which transport endpoints were found to speak, so that
// only the first session with each probes. The zero Transports are empty, nil
// remembers nothing. They may be used by several goroutines and must not be
// copied.
type Transports struct {
	mu    sync.Mutex
	known map[transportKey]Kind
}

type transportKey struct{ cluster, endpoint string }

// get returns what is known of an endpoint, 0 when that is nothing.
func (t *Transports) get(c *clusters.Cluster, e *clusters.Endpoint) Kind {
	if t == nil {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.known[transportKey{c.Name(), e.ID()}]
}

// set remembers a transport, or forgets it (0).
func (t *Transports) set(c *clusters.Cluster, e *clusters.Endpoint, kind Kind) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	key := transportKey{c.Name(), e.ID()}
	if kind == 0 {
		delete(t.known, key)
		return
	}
	if t.known == nil || len(t.known) >= maxTransports {
		t.known = map[transportKey]Kind{}
	}
	t.known[key] = kind
}
