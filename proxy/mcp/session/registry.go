package session

import (
	"context"
	"crypto/rand"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/seal"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

// sweepEvery is how often the registry looks for sessions that are idle, and for servers
// that are back.
const sweepEvery = time.Second

// Options are what a Registry is made of.
type Options struct {
	// Name and Version are the serverInfo of a federation.
	Name, Version string
	// Client speaks to the upstreams; the prober has the same. nil: the registry has its
	// own.
	Client *upstream.Client
	// Memory is what clients make us keep charged to; nil has no limit.
	Memory *memory.Budget
	// Trace may be nil.
	Trace *Trace
}

// Registry owns the downstream sessions of all routes, for the life of the process.
type Registry struct {
	opts        Options
	seal        *seal.Sealer
	catalogue   *federation.Catalogue
	searches    *searches
	suspensions *suspensions

	admission admission
	tasks     tasks

	mu     sync.Mutex
	closed bool
	seq    uint64 // of the last route
	// committed is the last seq when a generation was committed.
	committed uint64
	current   map[string]*Route
	byID      map[string]*session
	stop      chan struct{}
}

// NewRegistry returns a registry without sessions, whose keys are random. Close releases
// it.
func NewRegistry(opts Options) *Registry {
	sealer, err := seal.New(nil)
	if err != nil { // random keys are long enough
		panic(err)
	}
	if opts.Client == nil {
		opts.Client = &upstream.Client{Memory: opts.Memory}
	}
	opts.Trace = opts.Trace.complete()
	r := &Registry{
		opts:        opts,
		seal:        sealer,
		catalogue:   federation.NewCatalogue(),
		searches:    newSearches(),
		suspensions: newSuspensions(opts.Memory),
		current:     map[string]*Route{},
		byID:        map[string]*session{},
		admission:   admission{memory: opts.Memory, counts: map[string]*count{}, kept: map[keptKey][]*session{}},
		stop:        make(chan struct{}),
	}
	r.tasks.run(r.sweep)
	return r
}

// sweep ends idle sessions, gives up what they keep too long, and brings back the servers
// to which the clients of others listen.
func (r *Registry) sweep() {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-r.stop:
			return
		case now := <-tick.C:
			r.searches.expire()
			for _, s := range r.all() {
				r.sweepSession(s, now)
			}
		case <-r.opts.Memory.Relief():
			r.relieve()
		}
	}
}

func (r *Registry) sweepSession(s *session, now time.Time) {
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
func (r *Registry) all() []*session {
	kept := r.admission.allKept()
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.AppendSeq(kept, maps.Values(r.byID))
}

// currentOf returns the route of a name that is in force; nil: there is none.
func (r *Registry) currentOf(name string) *Route {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current[name]
}

// admit lets a session of a client in, and ends those that have to go for it. The
// session is in use until its exit.
func (r *Registry) admit(s *session, route *Route) error {
	victims, err := r.admission.admit(s, route.Limits)
	for _, victim := range victims {
		victim.end("evicted", errEnded)
	}
	if err != nil {
		s.life.cancel(err)
		return err
	}
	s.life.enter(route)
	return nil
}

// Stats are counts of one route.
type Stats struct {
	// Sessions includes those made for clients without one.
	Sessions int
	// Streams are SSE streams to clients.
	Streams int
}

// Stats returns the counts of every route that has a session or a stream.
func (r *Registry) Stats() map[string]Stats { return r.admission.stats() }

// publish makes the session one that clients can name. It reports false when
// the session has ended already, or its route has gone meanwhile.
func (r *Registry) publish(s *session) bool {
	s.life.mu.Lock()
	newest := s.life.route
	ended := s.life.ended
	r.mu.Lock()
	route, served := r.current[s.route]
	// The route of a generation that is about to be committed is not there yet.
	ended = ended || r.closed || !served && newest.slots.Seq <= r.committed
	if !ended {
		s.id = rand.Text() // 130 random bits
		r.byID[s.id] = s
	}
	r.mu.Unlock()
	s.life.mu.Unlock()
	if ended {
		return false
	}
	r.opts.Trace.SessionOpened(s.route)
	if served && route.newerThan(newest) {
		s.follow(route) // a generation that came meanwhile did not find it
	}
	return true
}

// forget takes back what admit or lend, and publish, did.
func (r *Registry) forget(s *session, reason string) {
	r.mu.Lock()
	published := s.id != ""
	delete(r.byID, s.id)
	r.mu.Unlock()
	r.admission.release(s)
	if published {
		r.opts.Trace.SessionClosed(s.route, reason)
	}
}

func (r *Registry) find(id string) *session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byID[id]
}

// Commit puts the routes of a new generation in force. Sessions keep their ids and
// follow it; their clients hear of it where the catalogue may have changed. Sessions
// of other routes end. It does not wait for any server.
func (r *Registry) Commit(routes []*Route) {
	current := make(map[string]*Route, len(routes))
	clusters := make(map[string][]string, len(routes))
	for _, route := range routes {
		current[route.Name] = route
		for _, ref := range route.Members {
			clusters[route.Name] = append(clusters[route.Name], ref.Name)
		}
	}
	r.mu.Lock()
	r.current = current
	r.committed = r.seq
	r.mu.Unlock()
	r.catalogue.Keep(clusters)
	r.searches.forgetAll()
	for _, s := range r.all() {
		if route, ok := current[s.route]; ok {
			s.follow(route)
		} else {
			s.end("route_removed", errEnded)
		}
	}
}

// Close ends every session and waits until the servers have been told, or ctx
// is done. Handlers answer nothing useful afterwards.
func (r *Registry) Close(ctx context.Context) {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return
	}
	r.closed = true
	close(r.stop)
	r.mu.Unlock()
	r.admission.close()
	r.suspensions.close()
	for _, s := range r.all() {
		s.end("shutdown", errEnded)
	}
	r.tasks.wait(ctx)
}

// Catalogue returns the names of the tools that each cluster of the route was
// last seen to have, unprefixed, in the cluster's order.
func (r *Registry) Catalogue(route string) map[string][]string {
	return r.catalogue.ToolNames(route)
}

// LeftOut returns, by cluster, the definitions that no client gets.
func (r *Registry) LeftOut() map[string][]federation.LeftOut { return r.catalogue.LeftOut() }

// UseKeys makes the registry seal with the first of these keys, of at least
// seal.MinKey bytes each, and open what any of them has sealed. Without keys it
// keeps those that it has. What was sealed before stays valid as long as its
// key is among them.
func (r *Registry) UseKeys(keys [][]byte) error {
	if len(keys) == 0 {
		return nil
	}
	return r.seal.Use(keys)
}
