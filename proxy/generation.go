package proxy

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/listeners"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp"
	"github.com/mcpgateway/mcpgateway/proxy/routes"
	"github.com/mcpgateway/mcpgateway/tls"
)

// A Generation is one applied state of the file. What did not change from one
// to the next is the same object in both. It is freed when no request uses it any
// more: it is not the current one, its last request has ended, and the servers
// that drain on it are done.
type Generation struct {
	number   uint64
	config   *Config
	snapshot *config.Snapshot
	// file is config as the file gave it, without the identities of Workload
	// APIs. It belongs to the goroutine that runs reloads.
	file    *Config
	applied time.Time

	served   []served
	clusters *clusters.Set
	router   *routes.Router
	mcp      []*mcp.Handler
	// certificates are those of files and Workload APIs.
	certificates []dated

	// users counts requests in flight, pins, and being current. It starts at
	// one for being current; once zero it never rises again.
	users atomic.Int64
	// pins counts the servers and connections that drain on this generation.
	pins atomic.Int64
	// retired is when a newer generation took over.
	retired time.Time
	// leaving are the servers that the next generation did not carry over.
	leaving []*listeners.Server
	free    func()
}

// served is one listener of a generation: a server of its definition, on a
// socket of the process.
type served struct {
	config *listeners.Config
	// tls is nil for plain text.
	tls        *tls.ServerSnapshot
	socket     *listeners.Socket
	server     *listeners.Server
	dispatcher *dispatcher
}

// use keeps the generation from being freed, and reports false when it was
// freed already.
func (g *Generation) use() bool {
	for {
		n := g.users.Load()
		if n == 0 {
			return false
		}
		if g.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// done gives back one use.
func (g *Generation) done() {
	if g.users.Add(-1) == 0 {
		g.free()
	}
}

// requests is the number in flight on a generation that is not the current one.
func (g *Generation) requests() int {
	// A use is counted before its pin, and both change while we look.
	return max(0, int(g.users.Load()-g.pins.Load()))
}

// find returns the listener of that name, or nil.
func (g *Generation) find(name string) *served {
	if g == nil {
		return nil
	}
	for i := range g.served {
		if g.served[i].config.Name == name {
			return &g.served[i]
		}
	}
	return nil
}

// serve answers a request that came on a listener. The caller holds a use.
func (g *Generation) serve(listener string, w http.ResponseWriter, r *http.Request) {
	filter.RequestInfoFrom(r.Context()).SetGeneration(g.number)
	g.router.Handler(listener).ServeHTTP(w, r)
}
