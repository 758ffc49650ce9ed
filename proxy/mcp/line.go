package mcp

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

// line is the one stream of a session that has no other: that of HTTP+SSE (MCP
// 2024-11-05), or a WebSocket. All that is for the client goes over it, and
// the session lasts as long as it does.
type line struct {
	s      *session
	stream *eventstream.Stream
	// posts: messages come by POSTs that name the session.
	posts bool

	mu    sync.Mutex
	stage stage
}

// stage is how far a line's session has come.
type stage int

const (
	stageNew stage = iota
	stageInitializing
	stageReady
)

func (l *line) ready() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stage == stageReady
}

// begun reports whether the client has sent initialize.
func (l *line) begun() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stage != stageNew
}

// advance moves on to the next stage, and reports whether it was that one's
// turn.
func (l *line) advance(to stage) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stage != to-1 {
		return false
	}
	l.stage = to
	return true
}

// Open makes line the outlet of its calls.
func (l *line) Open() bool { return true }

// Send implements eventstream.Outlet.
func (l *line) Send(msg []byte) bool { return l.stream.Send(msg) }

// Finish queues an answer, between everything else.
func (l *line) Finish(_ int, answer []byte) { l.stream.Enqueue(answer, eventstream.Required) }

// Offer implements eventstream.Outlet.
func (l *line) Offer(_ int, answer []byte) bool {
	_, short := l.stream.Enqueue(answer, eventstream.Replaceable)
	return !short
}

// errInitialize: what comes first is initialize.
var errInitialize = errors.New("the session has not been initialized")

// openLine begins the session of a new line; the client initialises it later.
// It ends when its stream does.
func (h *Handler) openLine(r *http.Request, posts bool) (*session, error) {
	principal := filter.PrincipalFrom(r.Context())
	s := h.hub.newSession(h.route, principal.Key(), clientInit{version: spec.NewestLegacy})
	s.line = &line{s: s, stream: s.newStream(eventstream.Options{Open: true, Eager: true, Bytes: h.queueBytes()}), posts: posts}
	if err := h.hub.admit(s, h.route.Limits); err != nil {
		s.life.cancel(err)
		return nil, err
	}
	s.life.enter(h.route) // for as long as it lasts: a line is never idle
	if !h.hub.publish(s) || !s.listen(s.line.stream, 1) {
		s.end("failed", errEnded)
		return nil, errEnded
	}
	h.hub.opts.Trace.sessionOpened(s.route)
	h.hub.background(func() {
		<-s.line.stream.Reader().Stopped()
		s.end("closed", errGone)
	})
	return s, nil
}

// source is what messages of a line came by: a POST, or a WebSocket.
type source struct {
	ctx    context.Context
	info   *filter.RequestInfo
	header http.Header // that goes upstream
	// run does what may take time.
	run func(f func())
}

// handle takes what came for a line's session. The error says why it is no
// message.
func (l *line) handle(route *Route, src source, body []byte) error {
	m, err := jsonrpc.Parse(body)
	if errors.Is(err, jsonrpc.ErrBatch) && l.ready() && l.s.batches() {
		members, err := parseBatch(body, route.Limits.Pending)
		if err != nil {
			return err
		}
		b := newBatch(l, members, l.s.hub.opts.Memory.Lease(memory.Answer))
		for i, member := range members {
			if member.refusal != nil {
				b.member(i).Finish(http.StatusOK, member.refusal)
			} else {
				l.handleMessage(route, src, member.msg, b.member(i))
			}
		}
		return nil
	}
	if err != nil {
		return err
	}
	l.handleMessage(route, src, m, l)
	return nil
}

func (l *line) handleMessage(route *Route, src source, m *jsonrpc.Message, out eventstream.Outlet) {
	switch kind := m.Kind(); {
	case kind == jsonrpc.Request:
		if err := l.handleRequest(route, src, m, out); err != nil {
			out.Finish(http.StatusOK, failed(err).body(m.ID()))
		}
	case !l.ready():
		// There is nothing yet that it could be about.
	case m.Method() == spec.NotificationCancelled:
		l.s.notification(src.ctx, route, m) // it waits for nothing, and nothing may hold it up
	case kind == jsonrpc.Notification:
		passed := l.s.questions.reports(m)
		src.run(func() {
			defer passed()
			l.s.notification(upstream.WithHeader(src.ctx, src.header), route, m)
		})
	default:
		l.s.questions.answer(m)
	}
}

// handleRequest sets a request in motion, whose answer goes to out.
func (l *line) handleRequest(route *Route, src source, m *jsonrpc.Message, out eventstream.Outlet) error {
	if v := m.Params().Get("_meta", jsonrpc.MetaProtocolVersion); v.Exists() {
		if m.Method() == spec.ServerDiscover {
			return noDiscovery()
		}
		return spec.UnsupportedVersion(append(spec.Legacy(), spec.Oldest), v.String()) // a line has a session, and that revision none
	}
	c := l.s.newCall(route, m, src.info, src.header)
	c.out = out
	switch {
	case m.Method() == spec.Initialize:
		return l.initialize(c)
	case m.Method() != spec.Ping && !l.ready():
		return &spec.Error{Code: jsonrpc.CodeInvalidRequest, Text: errInitialize.Error()}
	}
	return l.s.launch(c)
}

// initialize answers initialize on a line. Where it fails the line ends
// after the answer: the client begins anew with another one.
func (l *line) initialize(c *call) error {
	init, err := parseInit(c.msg)
	if err != nil {
		return err
	}
	if !l.advance(stageInitializing) {
		return &spec.Error{Code: jsonrpc.CodeInvalidRequest, Text: "the session is initialized already"}
	}
	if err := l.s.charge(int64(len(init.params))); err != nil {
		return err
	}
	l.s.init, l.s.version = init.params, init.version
	l.s.naming = federation.NewNaming(c.route.Namespace, c.route.Members)
	started := l.s.life.spawn(func() {
		ctx, cancel := context.WithTimeoutCause(l.s.life.ctx, c.route.Timeouts.CallIdle, errCallIdle)
		defer cancel()
		body, err := dispatcher{l.s, c}.initialize(ctx)
		if err != nil {
			f := failed(err)
			c.Info.SetFlag(f.flag)
			c.Info.SetReason(f.Error())
			l.stream.Finish(f.answer.Status, f.body(c.msg.ID()))
			return
		}
		l.advance(stageReady)
		c.answer(http.StatusOK, c.msg.ID(), body)
	})
	if !started {
		return errEnded
	}
	return nil
}
