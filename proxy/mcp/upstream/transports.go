package upstream

import (
	"net/url"
	"sync"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// maxTransports bounds what is remembered; endpoints come and go with the
// addresses of names.
const maxTransports = 4096

// Transports remembers what endpoints were found to speak, so that only the
// first session with each probes. The zero Transports are empty, nil remembers
// nothing. They may be used by several goroutines and must not be copied.
type Transports struct {
	// OnMoved is told that an endpoint redirects to another path, which is asked
	// from then on. It may be nil, and must not be changed once in use.
	OnMoved func(cluster, endpoint, path string)

	shared sharedProcesses
	spares spares

	mu    sync.Mutex
	known map[transportKey]spoken
}

type transportKey struct{ cluster, endpoint string }

// spoken is what an endpoint was found to speak.
type spoken struct {
	kind Kind // 0: unknown
	// discover is the answer to server/discover of a server that lists a
	// revision without sessions.
	discover *jsonrpc.Message
	// doubted: the server may have become another one, and is asked before discover
	// is believed again.
	doubted bool
	// legacy is when the server was last found to know no such revision, and
	// why says how.
	legacy time.Time
	why    string
	// listed are the revisions that it listed then, nil if it listed none.
	listed []string
	// modern: the server has answered that it knows no other.
	modern bool
	// moved is the path that the server has redirected to; nil where it has not.
	moved *url.URL
	// headerParams are the parameters that its tools want in headers.
	headerParams headerParams
	unlisted     unlisted
}

// get returns what is known of an endpoint.
func (t *Transports) get(c *clusters.Cluster, e *clusters.Endpoint) spoken {
	if t == nil {
		return spoken{}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.known[transportKey{c.Name(), e.ID()}]
}

// learn changes what is known of an endpoint.
func (t *Transports) learn(c *clusters.Cluster, e *clusters.Endpoint, change func(*spoken)) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	key := transportKey{c.Name(), e.ID()}
	known, ok := t.known[key]
	switch {
	case t.known == nil:
		t.known = map[transportKey]spoken{}
	case !ok && len(t.known) >= maxTransports:
		for other := range t.known { // in no order
			delete(t.known, other)
			break
		}
	}
	change(&known)
	t.known[key] = known
}
