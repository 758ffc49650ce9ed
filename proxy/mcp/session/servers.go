package session

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/slot"
)

// servers are the clusters' places in a session, and what each new upstream
// session is told first. The lock is a leaf: no other is taken under it.
type servers struct {
	s *session

	mu     sync.Mutex
	closed bool
	byName map[string]*slot.Slot
	level  string // of the log that the client asked for; "": it has asked for none
}

// at returns the cluster's slot; one that opens nothing when the session has ended.
func (v *servers) at(cluster string) *slot.Slot {
	v.mu.Lock()
	at := v.byName[cluster]
	if at == nil && !v.closed {
		at = slot.New(owner{v.s}, v.config(cluster))
		v.byName[cluster] = at
	}
	v.mu.Unlock()
	if at == nil {
		at = slot.New(owner{v.s}, v.config(cluster))
		at.Leave(errEnded)
	}
	return at
}

// config is what a new slot is made of.
func (v *servers) config(cluster string) slot.Config {
	s, trace := v.s, v.s.registry.opts.Trace
	principal := s.principal
	if principal == anonymousKey {
		principal = ""
	}
	return slot.Config{
		Route:      s.route,
		Cluster:    cluster,
		Client:     s.registry.opts.Client,
		Init:       s.init,
		Principal:  principal,
		Naming:     s.naming,
		Modern:     s.modern,
		Hears:      s.mayAsk() || s.subscribed,
		LogLevel:   v.logLevel,
		Background: s.registry.tasks.run,
		Own:        s.life.own,
		Disown:     s.life.disown,
		Opened:     trace.Upstream,
		Lost:       trace.UpstreamLost,
		Ignored:    trace.Ignored,
	}
}

// all returns the places that there are.
func (v *servers) all() []*slot.Slot {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Collect(maps.Values(v.byName))
}

// sort takes out the places whose cluster is not of the route any more.
func (v *servers) sort(route *Route) (stay, gone []*slot.Slot) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for cluster, p := range v.byName {
		if _, ok := route.member(cluster); ok {
			stay = append(stay, p)
		} else {
			gone = append(gone, p)
			delete(v.byName, cluster)
		}
	}
	return stay, gone
}

// close makes at return no new slot that opens anything.
func (v *servers) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = true
}

func (v *servers) logLevel() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.level
}

func (v *servers) setLogLevel(level string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.level = level
}

// startListening makes the servers send what belongs to no call.
func (v *servers) startListening() {
	for _, p := range v.all() {
		p.StartListening()
	}
}

// broadcast sends a notification to every server that has been initialised.
// The others will ask. One that cannot be reached is found out by its next
// call.
func (v *servers) broadcast(ctx context.Context, msg []byte) {
	var wg sync.WaitGroup
	for _, p := range v.all() {
		wg.Go(func() { _ = p.Notify(ctx, msg) })
	}
	wg.Wait()
}

// shareable reports whether the next single call may use what this one used.
// Which calls belong together only their client knows: two programs of one
// user would share what a server keeps in a session. So every server must have
// said that it keeps nothing.
func (v *servers) shareable() bool {
	return !slices.ContainsFunc(v.all(), func(p *slot.Slot) bool { return !p.Shareable() })
}

// revive brings back the servers that were lost or never came up.
func (v *servers) revive() {
	for _, p := range v.all() {
		p.Revive()
	}
}
