package proxy

import (
	"sync/atomic"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/descriptors"
	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/listeners"
	"github.com/mcpgateway/mcpgateway/proxy/admin"
	"github.com/mcpgateway/mcpgateway/proxy/mcp"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
	"github.com/mcpgateway/mcpgateway/proxy/observe"
	"github.com/mcpgateway/mcpgateway/tls"
	"github.com/mcpgateway/mcpgateway/tls/acme"
	"github.com/mcpgateway/mcpgateway/tls/spiffe"
)

// shared is what the generations of a process have in common, and what outlives
// each of them.
type shared struct {
	generations generations
	observer    *observe.Observer
	sockets     *listeners.Sockets
	hub         *mcp.Hub
	prober      *upstream.Prober
	// budget bounds the memory that peers can make the process keep.
	budget *memory.Budget
	limit  memoryLimiter
	// reserve is what clients leave of the descriptors.
	reserve *descriptors.Reserve
	// acme keeps the certificates that are not from files; nil where the file is
	// only checked.
	acme *acme.Manager
	// spiffe are the Workload APIs.
	spiffe *spiffe.Sources
	// listenAdmin binds the operator's API. admin is the one of the newest generation,
	// nil without a section admin; it belongs to the goroutine that runs reloads.
	listenAdmin func(admin.Config) (*admin.Server, error)
	admin       *admin.Server
	// ready is set from the first commit until the shutdown begins.
	ready atomic.Bool
	// reportWaitAfter is how long a wait for health checks stays out of the log.
	reportWaitAfter time.Duration
}

// newShared opens nothing and serves nothing. rotated is called when a Workload API
// has delivered something new.
func newShared(o Options, observer *observe.Observer, rotated func()) *shared {
	s := &shared{
		observer: observer,
		budget:   memory.New(observer.Memory),
		reserve:  descriptors.System(),
		sockets:  listeners.NewSockets(observer.Listeners),
		acme:     acme.NewManager(observer.Logs.Logger, observer.ACME),
		spiffe:   spiffe.NewSources(rotated, observer.SPIFFE),

		reportWaitAfter: reportWaitAfter,
	}
	s.limit = memoryLimiter{budget: s.budget, logs: observer.Logs, env: o.Env, setRuntimeLimit: o.SetMemoryLimit}
	s.sockets.KeepFree(s.reserve)
	client := &upstream.Client{OnMoved: observer.Moved, Memory: s.budget}
	s.hub = mcp.NewHub(mcp.Options{Name: "mcpgateway", Version: o.Version, Client: client, Memory: s.budget, Trace: observer.MCP})
	s.prober = &upstream.Prober{Client: client, Version: o.Version}
	s.prober.OnIgnored = func(cluster, endpoint string, err error, report bool) {
		observer.MCP.Ignored("", cluster, endpoint, err, report)
	}
	return s
}

// isReady reports whether others should send requests here.
func (s *shared) isReady() bool { return s.ready.Load() && s.budget.Level() < memory.Critical }

// managed is the ACME side of TLS; nil where only the file is checked.
func (s *shared) managed() tls.ACME {
	if s.acme == nil {
		return nil
	}
	return s.acme
}
