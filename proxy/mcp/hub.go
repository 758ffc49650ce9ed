package mcp

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/seal"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

// sweepEvery is how often the hub looks for sessions that are idle, and for servers
// that are back.
const sweepEvery = time.Second

// Options are what a Hub is made of.
type Options struct {
	// Name and Version are the serverInfo of a federation.
	Name, Version string
	// Client speaks to the upstreams; the prober has the same. nil: the hub has its
	// own.
	Client *upstream.Client
	// Memory is what clients make us keep charged to; nil has no limit.
	Memory *memory.Budget
	// Trace may be nil.
	Trace *Trace
}

// Hub owns the downstream sessions of all routes, for the life of the process.
type Hub struct {
	opts        Options
	seal        *seal.Sealer
	catalogue   *federation.Catalogue
	searches    *searches
	suspensions *suspensions

	mu     sync.Mutex
	closed bool
	seq    uint64 // of the last route
	// committed is the last seq when a generation was committed.
	committed uint64
	current   map[string]*Route
	byID      map[string]*session
	kept      map[keptKey][]*session // for single calls, not in use
	counts    map[string]*count      // by route
	running   int                    // goroutines of background
	idle      chan struct{}          // closed when there is none, once Close waits
	stop      chan struct{}
}

// NewHub returns a hub without sessions, whose keys are random. Close releases
// it.
func NewHub(opts Options) *Hub {
	sealer, err := seal.New(nil)
	if err != nil { // random keys are long enough
		panic(err)
	}
	if opts.Client == nil {
		opts.Client = &upstream.Client{Memory: opts.Memory}
	}
	h := &Hub{
		opts:        opts,
		seal:        sealer,
		catalogue:   federation.NewCatalogue(),
		searches:    newSearches(),
		suspensions: newSuspensions(opts.Memory),
		current:     map[string]*Route{},
		byID:        map[string]*session{},
		kept:        map[keptKey][]*session{},
		counts:      map[string]*count{},
		stop:        make(chan struct{}),
	}
	h.background(h.sweep)
	return h
}

// sweep ends idle sessions, gives up what they keep too long, and brings back what the clients of others listen
// to.
func (h *Hub) sweep() {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-h.stop:
			return
		case now := <-tick.C:
			h.searches.expire()
			for _, s := range h.all() {
				h.tendSession(s, now)
			}
		case <-h.opts.Memory.Relief():
			h.relieve()
		}
	}
}

func (h *Hub) tendSession(s *session, now time.Time) {
	if s.life.idle(now) {
		s.end("idle", errEnded)
		return
	}
	s.outlets.store.Expire(now)
	if s.outlets.listening() {
		s.servers.revive()
	}
}

// all returns every session, those for single calls that are not in use
// included.
func (h *Hub) all() []*session {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]*session, 0, len(h.byID))
	for _, s := range h.byID {
		all = append(all, s)
	}
	for _, kept := range h.kept {
		all = append(all, kept...)
	}
	return all
}

// background runs f on a goroutine that Close waits for.
func (h *Hub) background(f func()) {
	h.mu.Lock()
	h.running++
	h.mu.Unlock()
	go func() {
		defer func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.running--; h.running == 0 && h.idle != nil {
				close(h.idle)
				h.idle = nil
			}
		}()
		f()
	}()
}

// publish makes the session one that clients can name. It reports false when
// the session has ended already, or its route has gone meanwhile.
func (h *Hub) publish(s *session) bool {
	s.life.mu.Lock()
	newest := s.life.route
	ended := s.life.ended
	h.mu.Lock()
	route, served := h.current[s.route]
	// The route of a generation that is about to be committed is not there yet.
	ended = ended || h.closed || !served && newest.slots.Seq <= h.committed
	if !ended {
		s.id = rand.Text() // 130 random bits
		h.byID[s.id] = s
	}
	h.mu.Unlock()
	s.life.mu.Unlock()
	if ended {
		return false
	}
	h.opts.Trace.sessionOpened(s.route)
	if served && route.newerThan(newest) {
		s.follow(route) // a generation that came meanwhile did not find it
	}
	return true
}

// forget takes back what admit or lend, and publish, did.
func (h *Hub) forget(s *session, reason string) {
	h.mu.Lock()
	published := s.id != ""
	delete(h.byID, s.id)
	h.uncountLocked(s)
	h.mu.Unlock()
	if published {
		h.opts.Trace.sessionClosed(s.route, reason)
	}
}

func (h *Hub) find(id string) *session {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.byID[id]
}

// Commit puts the handlers of a new generation in force. Sessions keep their
// ids and follow it; their clients hear of it where the catalogue may have
// changed. Sessions of routes without a handler end. It does not wait for any
// server.
func (h *Hub) Commit(handlers []*Handler) {
	current := make(map[string]*Route, len(handlers))
	clusters := make(map[string][]string, len(handlers))
	for _, handler := range handlers {
		route := handler.route
		current[route.Name] = route
		for _, ref := range route.Members {
			clusters[route.Name] = append(clusters[route.Name], ref.Name)
		}
	}
	h.mu.Lock()
	h.current = current
	h.committed = h.seq
	h.mu.Unlock()
	h.catalogue.Keep(clusters)
	h.searches.forgetAll()
	for _, s := range h.all() {
		if route, ok := current[s.route]; ok {
			s.follow(route)
		} else {
			s.end("route_removed", errEnded)
		}
	}
}

// Close ends every session and waits until the servers have been told, or ctx
// is done. Handlers answer nothing useful afterwards.
func (h *Hub) Close(ctx context.Context) {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return
	}
	h.closed = true
	idle := make(chan struct{})
	h.idle = idle
	close(h.stop)
	h.mu.Unlock()
	h.suspensions.close()
	for _, s := range h.all() {
		s.end("shutdown", errEnded)
	}
	select {
	case <-idle:
	case <-ctx.Done():
	}
}

// Catalogue returns the names of the tools that each cluster of the route was
// last seen to have, unprefixed, in the cluster's order.
func (h *Hub) Catalogue(route string) map[string][]string {
	return h.catalogue.ToolNames(route)
}

// LeftOut returns, by cluster, the definitions that no client gets.
func (h *Hub) LeftOut() map[string][]federation.LeftOut { return h.catalogue.LeftOut() }

// UseKeys makes the hub seal with the first of these keys, of at least
// seal.MinKey bytes each, and open what any of them has sealed. Without keys it
// keeps those that it has. What was sealed before stays valid as long as its
// key is among them.
func (h *Hub) UseKeys(keys [][]byte) error {
	if len(keys) == 0 {
		return nil
	}
	return h.seal.Use(keys)
}
