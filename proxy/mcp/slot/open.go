package slot

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/clusters/transport"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

const (
	// openingFactor makes an opening outlive those who wait for it: a server
	// that takes longer to start than a list may take serves the next one.
	openingFactor = 6
	// hearTime is how long a server's stream is waited for: some answer with the
	// first event only.
	hearTime = time.Second
)

// opening is an attempt to open an upstream session.
type opening struct {
	slot       *Slot
	generation *Generation
	header     http.Header // goes with the opening
	lasting    http.Header // goes with all that the session sends unasked
	since      time.Time
	done       chan struct{}
	err        error // set before done closes
}

// openLocked returns the attempt in progress, or begins one. c is the call that needs
// it; nil: none does.
func (s *Slot) openLocked(g *Generation, c *Call) (*opening, error) {
	if s.opening != nil {
		return s.opening, nil // which ends with why the slot was left, if it was
	}
	if s.left != nil {
		return nil, s.left
	}
	if s.generation != nil {
		if _, ok := federation.Find(s.generation.Members, s.cfg.Cluster); ok {
			g = s.generation // the pools of an older generation may be gone
		}
	}
	o := &opening{slot: s, generation: g, since: time.Now(), done: make(chan struct{})}
	if c != nil {
		o.header = c.Header
		s.header = Lasting(c.Header)
	}
	o.lasting = s.header
	started := s.owner.Go(func(ctx context.Context) {
		err := o.run(ctx)
		s.mu.Lock()
		s.opening = nil
		// Who waited for a list has given up on one that took longer.
		back := err == nil && (s.down || time.Since(o.since) > g.List)
		s.down = err != nil
		s.pace.note(err)
		s.mu.Unlock()
		o.err = err
		close(o.done)
		if back {
			s.owner.ListsChanged()
		}
	})
	if !started {
		return nil, ErrEnded
	}
	s.opening = o
	return o, nil
}

// Lasting returns what of a call's headers goes upstream with the streams, answers and
// farewells of its session too, which belong to no call.
func Lasting(header http.Header) http.Header {
	out := maps.Clone(header)
	for _, name := range spec.TraceHeaders() {
		delete(out, name)
	}
	return out
}

// run initialises an upstream session on one endpoint after the other.
func (o *opening) run(ctx context.Context) error {
	cfg := &o.slot.cfg
	cluster, ok := o.generation.Clusters.Get(cfg.Cluster)
	if !ok {
		return fmt.Errorf("cluster %s: %w", cfg.Cluster, clusters.ErrNoHealthyUpstream)
	}
	most := openingFactor * o.generation.List
	if cluster.IsCommand() {
		most = max(most, upstream.LaunchTime(cluster))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, most, ErrListTime)
	defer cancel()
	var tried []*clusters.Endpoint
	var failure error
	lost := 0
	for {
		endpoint, err := cluster.Pick(tried...)
		if err != nil {
			if failure == nil {
				failure = err
				cfg.Opened(cfg.Route, cfg.Cluster, "", err)
			}
			return failure
		}
		err = o.at(upstream.WithHeader(ctx, o.header), cluster, endpoint)
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		cfg.Opened(cfg.Route, cfg.Cluster, endpoint.ID(), err)
		if errors.Is(err, upstream.ErrSessionLost) && lost < attempts && ctx.Err() == nil && !cluster.IsCommand() {
			lost++ // the server was restarted between one message of the opening and the next
			continue
		}
		var connect *transport.ConnectError
		if err == nil || ctx.Err() != nil || !errors.As(err, &connect) || cluster.IsCommand() {
			return err
		}
		failure = err
		tried = append(tried, endpoint)
	}
}

// at initialises an upstream session on an endpoint, and brings it to the state that
// the client has asked for.
func (o *opening) at(ctx context.Context, cluster *clusters.Cluster, endpoint *clusters.Endpoint) error {
	s, cfg := o.slot, &o.slot.cfg
	u := &Upstream{slot: s, ready: make(chan struct{}), calls: map[jsonrpc.ID]*Call{}}
	up, err := cfg.Client.Open(ctx, cluster, endpoint, upstream.Options{
		Init:      cfg.Init,
		OnMessage: func(m *jsonrpc.Message) { s.owner.Received(u, m) },
		OnIgnored: func(err error, report bool) {
			cfg.Ignored(cfg.Route, cfg.Cluster, endpoint.ID(), err, report)
		},
		OnClose:    u.ended,
		Modern:     cfg.Modern,
		Header:     o.lasting,
		MaxMessage: o.generation.Message,
		MaxResult:  o.generation.Result,
		Backoff:    &s.backoff,
		Principal:  cfg.Principal,
		Alone:      cfg.Modern && cfg.LogLevel() != "",
	})
	u.session = up
	close(u.ready)
	if err != nil {
		return err
	}
	if !up.Server().Modern() && (cfg.Hears || s.owner.Listening()) {
		// What is asked in the middle of a call may come on this stream, and so
		// does what a subscription brings: most servers lose what they say
		// before it is there.
		up.StartListening()
		hearing, cancel := context.WithTimeout(ctx, hearTime)
		up.Heard(hearing)
		cancel()
	}
	if err := o.restore(ctx, up); err != nil {
		u.close()
		return err
	}
	if o.met(up.Server()) && cfg.Naming.Transparent(o.generation.Members) {
		u.close()
		s.owner.Lesser()
		return ErrChanged
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left != nil {
		u.closeLocked()
		return s.left
	}
	if !u.alive() {
		u.closeLocked()
		return upstream.ErrSessionLost
	}
	s.up = u
	if process := up.Process(); process != nil {
		cfg.Own(process)
	}
	// A client that listens from now on finds the upstream session.
	if s.owner.Listening() {
		up.StartListening()
	}
	return nil
}

// restore brings a new upstream session to the state that the client believes it to
// have. A server that refuses a part of it is no worse than one that has lost it.
func (o *opening) restore(ctx context.Context, up *upstream.Session) error {
	caps := up.Server().Result.Result().Get("capabilities")
	if level := o.slot.cfg.LogLevel(); level != "" && caps.Get("logging").Exists() {
		id := up.NextID()
		if _, err := up.Call(ctx, jsonrpc.NewRequest(id, spec.LoggingSetLevel, jsonrpc.NewObject("level", level)), id, nil); err != nil {
			return fmt.Errorf("replay the log level: %w", err)
		}
	}
	if !caps.Get("resources", "subscribe").Bool() {
		return nil
	}
	o.slot.mu.Lock()
	subs := maps.Clone(o.slot.subs)
	o.slot.mu.Unlock()
	for uri := range subs {
		if err := up.Subscribe(ctx, uri, true); err != nil {
			return fmt.Errorf("replay a subscription: %w", err)
		}
	}
	return nil
}

// met notes who answers now, and reports whether that is less than what the client was
// told at first, if it was.
func (o *opening) met(server *upstream.Server) (less bool) {
	s := o.slot
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server = Server{initialized: server.Result, Modern: server.Modern()}
	if s.first == nil {
		s.first = server.Result
		return false
	}
	return lesser(s.first, server.Result)
}

// lesser reports whether a server that was initialised anew speaks another
// version, or can do less, than the client was told.
func lesser(before, after *jsonrpc.Message) bool {
	was, is := before.Result(), after.Result()
	if was.Get("protocolVersion").String() != is.Get("protocolVersion").String() {
		return true
	}
	for name, capability := range was.Get("capabilities").Each {
		now := is.Get("capabilities", name)
		if !now.Exists() {
			return true
		}
		for option, value := range capability.Each {
			if value.Bool() && !now.Get(option).Bool() {
				return true
			}
		}
	}
	return false
}
