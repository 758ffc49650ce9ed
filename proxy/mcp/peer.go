package mcp

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters/process"
	"github.com/mcpgateway/mcpgateway/clusters/transport"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

const (
	// sendTimeout bounds the sending of what no client waits for.
	sendTimeout = 10 * time.Second
	// closeTimeout bounds the farewell to an upstream session.
	closeTimeout = 5 * time.Second
	// attempts bounds how often one request is sent.
	attempts = 3
	// openingFactor makes an opening outlive those who wait for it: a server
	// that takes longer to start than a list may take serves the next one.
	openingFactor = 6
)

// peer is the place of one cluster in a session. It outlives the upstream
// sessions that it opens, one at a time, when they are needed.
type peer struct {
	s       *session
	cluster string
	backoff process.Backoff // of the session's own processes

	mu      sync.Mutex
	route   *Route      // of the newest generation that was seen
	header  http.Header // of the client, for what the session sends unasked
	link    *link       // nil: none is open
	opening *opening
	first   *jsonrpc.Message // the first answer to initialize
	newest  *jsonrpc.Message // the last one
	modern  bool             // the server had no sessions then
	subs    map[string]struct{}
	// down: the last attempt failed, or a session was lost. When it is back
	// the client learns that the lists have changed.
	down     bool
	failures int       // in a row
	retry    time.Time // when it is tried again without being asked
	left     bool      // nothing is opened any more
}

// opening is an attempt to open a link. Its result is set before done closes.
type opening struct {
	done  chan struct{}
	since time.Time
	err   error
}

// request makes a request for an upstream session.
type request func(up *upstream.Session, id jsonrpc.ID) []byte

// exchange sends a request and waits for its answer. build makes the request
// for the upstream session and with the id that it is given. A lost session is opened anew, unseen by the
// client, if safe says that the request may be repeated, or it surely was not
// acted upon. A server that answers with a status is asked once more at most: one
// that refuses its new session too has said what there is to say.
func (p *peer) exchange(ctx context.Context, c *call, safe bool, build request) (*jsonrpc.Message, error) {
	refused := false // with a status, at the attempt before
	for attempt := 1; ; attempt++ {
		l, err := p.acquire(ctx, c)
		if err != nil {
			return nil, err
		}
		m, err := p.once(ctx, c, l, build)
		if err == nil {
			return m, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		renewed := p.renew(c.route, l, err)
		var status *upstream.StatusError
		refuses := errors.As(err, &status)
		if attempt == attempts || !safe && !upstream.Repeatable(err) || !renewed && answered(err) || refuses && refused {
			if refuses && status.Answer() != nil {
				return status.Answer(), nil
			}
			return nil, err
		}
		refused = refuses
	}
}

// answered reports whether the server, or its host, has given an answer that
// would be the same the next time.
func answered(err error) bool {
	var status *upstream.StatusError
	var connect *transport.ConnectError
	return errors.As(err, &status) || errors.As(err, &connect)
}

// once sends a request over l and gives l back.
func (p *peer) once(ctx context.Context, c *call, l *link, build request) (*jsonrpc.Message, error) {
	defer p.release(l)
	id := l.up.NextID()
	p.mu.Lock()
	l.calls[id] = c
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(l.calls, id)
		p.mu.Unlock()
	}()
	c.info.SetEndpoint(l.up.Endpoint().ID())
	m, err := l.up.Call(upstream.WithCaller(upstream.WithHeader(ctx, c.header), &c.caller), build(l.up, id), id, func(m *jsonrpc.Message) { p.receive(l, m, c) })
	if err != nil && ctx.Err() != nil {
		p.abandon(l, id, context.Cause(ctx))
	}
	p.s.outlets.flush() // the client hears of a list that the call has changed before the answer
	return m, err
}

// abandon tells the server that no client waits for the answer any more.
func (p *peer) abandon(l *link, id jsonrpc.ID, cause error) {
	msg := jsonrpc.NewNotification(spec.NotificationCancelled, append(append([]byte(`{"requestId":`), id.Raw()...), '}'))
	var c canceled
	if errors.As(cause, &c) {
		var e jsonrpc.Edits
		e.Replace(c.msg.Params().Get("requestId"), []byte(id.Raw()))
		p.s.related(&e, federation.Member{Name: p.cluster}, c.msg.Params().Get("_meta"))
		msg = e.Apply(c.msg)
	}
	p.mu.Lock()
	l.uses++ // a session that is being closed is closed after this
	p.mu.Unlock()
	p.s.hub.background(func() {
		defer p.release(l)
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		_ = l.up.Send(ctx, msg)
	})
}

// renew decides, after err, whether the next attempt needs another upstream
// session: this one is lost, or the server wants other credentials, which a
// new generation's pool may have. A server that forbids one call in a session
// that lives wants no other. It reports whether it took l out of use.
func (p *peer) renew(route *Route, l *link, err error) bool {
	var connect *transport.ConnectError
	var status *upstream.StatusError
	unauthorized := errors.Is(err, upstream.ErrUnauthorized) && !(errors.As(err, &status) && status.SessionLives())
	gone := errors.Is(err, upstream.ErrSessionLost) || errors.Is(err, upstream.ErrClosed) || unauthorized
	if !gone && errors.As(err, &connect) {
		// A server that cannot be reached for a moment keeps its session; only
		// where there is another one to go to, the session is given up.
		cluster, ok := route.Clusters.Get(p.cluster)
		gone = ok && len(cluster.Endpoints()) > 1
	}
	if !gone {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link == l {
		p.down = true
	}
	p.detachLocked(l)
	return true
}

// adopt makes the peer follow a generation: where the endpoint has another
// pool, an upstream session moves over to it, unless it is bound to its
// connection; then it stays until it is idle.
func (p *peer) adopt(route *Route) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.adoptLocked(route)
}

func (p *peer) adoptLocked(route *Route) {
	if p.route != nil && route.seq <= p.route.seq {
		return // an older generation that has not drained uses what is there
	}
	p.route = route
	l := p.link
	cluster, ok := route.Clusters.Get(p.cluster)
	if l == nil || !ok {
		return
	}
	endpoint, ok := cluster.Endpoint(l.up.Endpoint().ID())
	switch {
	case !ok:
		p.detachLocked(l)
		p.reviveLocked()
	case endpoint == l.up.Endpoint(), l.up.Rebind(endpoint):
	case l.uses == 0 && l.up.Busy() == 0:
		p.detachLocked(l)
		p.reviveLocked()
	default:
		l.stale = true
	}
}

// leave ends the peer: its cluster is not of the route any more, or the
// session has ended. Calls in flight end first, unless the session's end has
// ended them.
func (p *peer) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left = true
	if p.link != nil {
		p.detachLocked(p.link)
	}
}

// notify sends a message over the open link, if there is one.
func (p *peer) notify(ctx context.Context, msg []byte) error {
	l := p.live()
	if l == nil {
		return nil
	}
	defer p.release(l)
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	return l.up.Send(ctx, msg)
}

const (
	// subsLimit bounds the subscriptions that are replayed, subLength their
	// URIs in bytes.
	subsLimit = 1000
	subLength = 4 << 10
)

// subscribed notes what must be replayed on a new upstream session.
func (p *peer) subscribed(uri string, on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !on {
		delete(p.subs, uri)
		return
	}
	if p.subs == nil {
		p.subs = map[string]struct{}{}
	}
	if len(p.subs) < subsLimit && len(uri) <= subLength {
		p.subs[uri] = struct{}{}
	}
}

func (p *peer) subscriptions() map[string]struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.subs)
}

// capable reports whether the server declares the capability. Of a server
// that has not been initialised it is assumed.
func (p *peer) capable(name ...string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.newest == nil {
		return true
	}
	v := p.newest.Result().Get("capabilities").Get(name...)
	return v.Exists() && (v.Kind() != jsonrpc.Bool || v.Bool())
}

// isModern reports whether the server was last found to have no sessions.
func (p *peer) isModern() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.modern
}

// shareable reports whether its upstream session may serve another
// conversation.
func (p *peer) shareable() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.opening == nil && (p.link == nil || p.link.up.Stateless())
}

// isOpen reports whether there is an upstream session.
func (p *peer) isOpen() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.link != nil
}
