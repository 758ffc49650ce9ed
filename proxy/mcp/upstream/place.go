package upstream

import (
	"net/http"
	"net/url"
	"sync"

	"github.com/mcpgateway/mcpgateway/clusters"
)

// Host carries HTTP requests to one server. Its methods may be called from any
// goroutine.
type Host interface {
	// RoundTrip sends a request, whatever host its URL names.
	http.RoundTripper
	// Target returns the URL that messages are posted to. The caller may modify it.
	Target() *url.URL
}

// binding is an endpoint that requests go through, held so that its connections
// outlive the generation they were made in. It is the Host of sessions with clusters.
type binding struct {
	*clusters.Endpoint
	known   knowledge // of the endpoint
	release func()
}

// place is where a session's requests go. Its methods may be called from any
// goroutine.
type place struct {
	fixed Host // nil where the requests go to bound

	mu    sync.Mutex
	bound *binding
	moved chan struct{} // closed, and made anew, by move; nil: there is none
	left  bool
}

func (p *place) host() Host {
	if p.fixed != nil {
		return p.fixed
	}
	return p.binding()
}

func (p *place) binding() *binding {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bound
}

// move makes e, the same endpoint with other connections, carry what is sent from
// now on. It reports false where it does nothing.
func (p *place) move(e *clusters.Endpoint) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.moved == nil || p.left || e.ID() != p.bound.ID() {
		return false
	}
	if e == p.bound.Endpoint {
		return true
	}
	p.bound.release() // what is under way keeps the old one until it ends
	p.bound = &binding{e, p.bound.known, e.Hold()}
	close(p.moved)
	p.moved = make(chan struct{})
	return true
}

// next is closed by the next move; nil where there will be none.
func (p *place) next() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.moved
}

// leave gives up the endpoint.
func (p *place) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left = true
	if p.bound != nil {
		p.bound.release()
	}
}
