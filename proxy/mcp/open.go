package mcp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/clusters/transport"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

// openLocked returns the attempt in progress, or begins one; nil when the
// session has ended. c is the call that needs the link, if one does.
func (p *peer) openLocked(route *Route, c *call) *opening {
	if p.opening != nil || p.left {
		return p.opening
	}
	if p.route != nil {
		if _, ok := p.route.member(p.cluster); ok {
			route = p.route // the pools of an older generation may be gone
		}
	}
	var header http.Header
	if c != nil {
		header = c.header
		p.header = lasting(header)
	}
	lasting := p.header
	o := &opening{done: make(chan struct{}), since: time.Now()}
	started := p.s.life.spawn(func() {
		err := p.open(route, header, lasting)
		p.mu.Lock()
		p.opening = nil
		// Who waited for a list has given up on one that took longer.
		back := err == nil && (p.down || time.Since(o.since) > route.Timeouts.List)
		p.down = err != nil
		p.paceLocked(err)
		p.mu.Unlock()
		o.err = err
		close(o.done)
		if back {
			p.s.outlets.changed(spec.ListChanges()...)
		}
	})
	if !started {
		return nil
	}
	p.opening = o
	return o
}

// reviveLocked opens a link that no call waits for, because notifications of
// the server are expected.
func (p *peer) reviveLocked() {
	if p.link == nil && p.route != nil && (p.s.outlets.listening() || len(p.subs) > 0) {
		p.openLocked(p.route, nil)
	}
}

// revive does the same for a peer that was lost or never came up, once there
// is an endpoint that is said to be well.
func (p *peer) revive() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.down || p.route == nil || time.Now().Before(p.retry) {
		return
	}
	cluster, ok := p.route.Clusters.Get(p.cluster)
	if !ok {
		return
	}
	for _, e := range cluster.Endpoints() {
		if e.Healthy() {
			p.reviveLocked()
			return
		}
	}
}

// hearTime is how long a server's stream is waited for: some answer with the
// first event only.
const hearTime = time.Second

// maxPace is the longest time between two attempts that no client asked for.
const maxPace = 15 * time.Second

// paceLocked slows attempts down that keep failing.
func (p *peer) paceLocked(err error) {
	if err == nil {
		p.failures = 0
		return
	}
	p.retry = time.Now().Add(min(sweepEvery<<min(p.failures, 16), maxPace))
	p.failures++
}

// unhealthyTime is how long a list waits for a server that health checks have
// found not to serve: long enough for one that serves all the same.
const unhealthyTime = time.Second

// patience returns how long a request to several servers waits for this one.
func (p *peer) patience(route *Route) time.Duration {
	most := route.Timeouts.List
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link != nil {
		if !p.link.up.Endpoint().Unhealthy() {
			return most
		}
	} else if cluster, ok := route.Clusters.Get(p.cluster); ok {
		for _, e := range cluster.Endpoints() {
			if !e.Unhealthy() {
				return most
			}
		}
	}
	return min(most, unhealthyTime)
}

// hopeless reports whether an attempt has been going on for so long that a
// list need not wait for it.
func (p *peer) hopeless(patience time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.opening != nil && time.Since(p.opening.since) > patience
}

// open initialises an upstream session on one endpoint after the other, and
// brings it to the state that the client has asked for. header goes with the
// opening, lasting with all that the session sends of its own accord.
func (p *peer) open(route *Route, header, lasting http.Header) error {
	cluster, ok := route.Clusters.Get(p.cluster)
	if !ok {
		return fmt.Errorf("cluster %s: %w", p.cluster, clusters.ErrNoHealthyUpstream)
	}
	most := openingFactor * route.Timeouts.List
	if cluster.IsCommand() {
		most = max(most, upstream.LaunchTime(cluster))
	}
	ctx, cancel := context.WithTimeoutCause(p.s.life.ctx, most, errListTime)
	defer cancel()
	var tried []*clusters.Endpoint
	var failure error
	lost := 0
	for {
		endpoint, err := cluster.Pick(tried...)
		if err != nil {
			if failure == nil {
				failure = err
				p.s.hub.opts.Trace.upstream(p.s.route, p.cluster, "", err)
			}
			return failure
		}
		err = p.openAt(upstream.WithHeader(ctx, header), route, lasting, cluster, endpoint)
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		p.s.hub.opts.Trace.upstream(p.s.route, p.cluster, endpoint.ID(), err)
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

func (p *peer) openAt(ctx context.Context, route *Route, lasting http.Header, cluster *clusters.Cluster, endpoint *clusters.Endpoint) error {
	l := &link{ready: make(chan struct{}), calls: map[jsonrpc.ID]*call{}}
	up, err := p.s.hub.opts.Client.Open(ctx, cluster, endpoint, upstream.Options{
		Init:      p.s.init,
		OnMessage: func(m *jsonrpc.Message) { p.receive(l, m, nil) },
		OnIgnored: func(err error, report bool) {
			p.s.hub.opts.Trace.ignored(p.s.route, p.cluster, endpoint.ID(), err, report)
		},
		OnClose: func(err error) {
			<-l.ready
			p.closed(l, err)
		},
		Modern:     p.s.modern(),
		Header:     lasting,
		MaxMessage: int64(route.Limits.Message),
		MaxResult:  int64(route.Limits.Result),
		Backoff:    &p.backoff,
		Principal:  p.s.knownPrincipal(),
		Alone:      p.s.modern() && p.s.servers.logLevel() != "",
	})
	l.up = up
	close(l.ready)
	if err != nil {
		return err
	}
	if !up.Server().Modern() && (p.s.mayAsk() || p.s.subscribed || p.s.outlets.listening()) {
		// What is asked in the middle of a call may come on this stream, and so
		// does what a subscription brings: most servers lose what they say
		// before it is there.
		up.StartListening()
		hearing, cancel := context.WithTimeout(ctx, hearTime)
		up.Heard(hearing)
		cancel()
	}
	if err := p.restore(ctx, l); err != nil {
		l.close()
		return err
	}
	p.mu.Lock()
	first := p.first
	if first == nil {
		p.first = up.Server().Result
	}
	p.newest, p.modern = up.Server().Result, up.Server().Modern()
	p.mu.Unlock()
	if first != nil && p.s.naming.Transparent(route.Members) && lesser(first, up.Server().Result) {
		l.close()
		p.s.end("upstream_changed", errChanged)
		return errChanged
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left {
		p.closeLocked(l)
		return errEnded
	}
	select {
	case <-up.Done():
		p.closeLocked(l)
		return upstream.ErrSessionLost
	default:
	}
	p.link = l
	if process := up.Process(); process != nil {
		p.s.life.own(process)
	}
	// A client that listens from now on finds the link.
	if p.s.outlets.listening() {
		up.StartListening()
	}
	return nil
}

// restore brings a new upstream session to the state that the client believes
// it to have. A server that refuses a part of it is no worse than one that
// has lost it.
func (p *peer) restore(ctx context.Context, l *link) error {
	caps := l.up.Server().Result.Result().Get("capabilities")
	send := func(method string, params []byte) error {
		id := l.up.NextID()
		_, err := l.up.Call(ctx, jsonrpc.NewRequest(id, method, params), id, nil)
		return err
	}
	if level := p.s.servers.logLevel(); level != "" && caps.Get("logging").Exists() {
		params := append(jsonrpc.AppendString([]byte(`{"level":`), level), '}')
		if err := send(spec.LoggingSetLevel, params); err != nil {
			return fmt.Errorf("replay the log level: %w", err)
		}
	}
	if !caps.Get("resources", "subscribe").Bool() {
		return nil
	}
	for uri := range p.subscriptions() {
		if err := l.up.Subscribe(ctx, uri, true); err != nil {
			return fmt.Errorf("replay a subscription: %w", err)
		}
	}
	return nil
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
