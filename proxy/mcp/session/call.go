package session

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/slot"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

// call is one request of a client, on its way to the servers and back. It
// belongs to the session, not to the HTTP request that brought it: a
// disconnect is no cancellation (MCP 2025-11-25, Transports).
type call struct {
	slot.Call // as servers see it

	session *session
	route   *Route
	msg     *jsonrpc.Message
	// out takes the answer, and what belongs to the call before it.
	out eventstream.Outlet
	// stream is that of the HTTP answer, which out is then; nil: the call shares one
	// with others.
	stream  *eventstream.Stream
	started time.Time
	lease   memory.Lease // of the message, from launch to finish

	clock

	mu      sync.Mutex
	cluster string // the last one that was asked

	once bool // a server that may have seen the call is not sent it again

	turn   chan struct{} // closed when the call has its place; nil: it need not wait
	placed bool          // it counts as in flight; guarded by calls.mu

	status int // of the HTTP answer, where a server's error has one of its own
	// suspended is how the call of a client without a session waits for its input.
	suspended *suspended
}

// newCall makes a call of a request, whose answer goes to out.
func (s *session) newCall(from Sender, m *jsonrpc.Message, out eventstream.Outlet) *call {
	c := &call{session: s, route: from.Route, msg: m, out: out}
	c.Call = slot.Call{Generation: &from.Route.slots, Header: from.Header, Info: from.Info, Sink: c}
	c.stream, _ = out.(*eventstream.Stream)
	return c
}

// Received implements [slot.Sink].
func (c *call) Received(from *slot.Upstream, m *jsonrpc.Message) {
	owner{c.session}.received(from, m, c)
}

// outlet is where the call is answered; nil where there is no call.
func (c *call) outlet() eventstream.Outlet {
	if c == nil {
		return nil
	}
	return c.out
}

// start begins the clock of the call. stop must be called.
func (c *call) start(parent context.Context) {
	c.started = time.Now()
	if c.stream != nil {
		c.Caller.Primed = c.stream.BeginEvents
	}
	c.clock.start(parent, c.route.Timeouts)
}

// stop ends the clock, and gives back what servers' answers were charged.
func (c *call) stop() {
	c.Caller.Release()
	c.clock.stop()
}

// token is the progress token that the client chose, if any.
func (c *call) token() jsonrpc.Value { return tokenOf(c.msg) }

func tokenOf(m *jsonrpc.Message) jsonrpc.Value {
	v := m.Params().Get("_meta", "progressToken")
	if v.ID().IsZero() {
		return jsonrpc.Value{}
	}
	return v
}

// Progress implements [slot.Sink]. The client gets its token as it wrote it: 1 and
// "1" are two tokens.
func (c *call) Progress(m *jsonrpc.Message) {
	c.touch()
	token := c.token()
	if c.suspended != nil {
		token = tokenOf(c.suspended.current()) // each try has one of its own
	}
	if !token.Exists() {
		return
	}
	var e jsonrpc.Edits
	e.Replace(m.Params().Get("progressToken"), token.Raw())
	c.out.Send(e.Apply(m))
}

// run answers the call, and ends it.
func (c *call) run() {
	defer c.stop()
	c.status = http.StatusOK
	var body []byte
	err := c.await()
	if err == nil {
		body, err = dispatcher{c}.dispatch()
	}
	status, flag := c.status, filter.Flag("")
	if err != nil {
		f := Failed(err)
		flag = f.flag
		if f.flag != "" {
			c.Info.SetFlag(f.flag)
		}
		if f.cause != nil {
			c.Info.SetReason(f.cause.Error())
		}
		switch {
		case c.session.modern:
			status = f.Answer.StatelessStatus()
		case c.session.sessionless || f.dead:
			status = f.Answer.Status
		}
		body = f.Body(c.msg.ID())
	}
	c.session.registry.opts.Trace.Call(c.route.Name, c.asked(), c.msg.Method(), string(flag), time.Since(c.started))
	c.Caller.Shrink(len(body))
	if c.suspended != nil {
		c.suspended.conclude(status, body)
		return
	}
	c.answer(status, c.msg.ID(), body)
}

// forward sends the call to one cluster, with edit's changes, and returns the
// answer for the client.
func (c *call) forward(ref federation.Member, edit func(*jsonrpc.Edits)) ([]byte, *jsonrpc.Message, error) {
	restore, err := rounds{c}.restore(ref)
	if err != nil {
		return nil, nil, err
	}
	m, err := c.exchange(c.ctx, ref, func(e *jsonrpc.Edits) {
		restore(e)
		if edit != nil {
			edit(e)
		}
	})
	if err != nil {
		return nil, nil, err
	}
	if c.session.modern && m.IsError() {
		if result := (rounds{c}).elicitations(ref, m); result != nil {
			return jsonrpc.NewResult(c.msg.ID(), result), m, nil
		}
	}
	names := c.session.of(ref)
	var e jsonrpc.Edits
	e.SetID(m, c.msg.ID())
	if m.IsError() {
		names.Failure(&e, m.Error())
	} else {
		names.Result(&e, c.msg.Method(), m.Result())
	}
	c.modernize(&e, ref, m)
	return e.Apply(m), m, nil
}

// exchange is forward without what it does to the answer.
func (c *call) exchange(ctx context.Context, ref federation.Member, edit func(*jsonrpc.Edits)) (*jsonrpc.Message, error) {
	return c.send(ctx, ref, !c.once && spec.Request(c.msg.Method()).Idempotent, func(server *upstream.Server, id jsonrpc.ID) []byte {
		var e jsonrpc.Edits
		e.SetID(c.msg, id)
		c.disclaim(&e, server)
		e.Replace(c.token(), []byte(id.Raw()))
		if !c.session.naming.Transparent(c.route.Members) {
			c.session.related(&e, ref.Name, c.msg.Params().Get("_meta"))
		}
		if edit != nil {
			edit(&e)
		}
		return e.Apply(c.msg)
	})
}

// send sends a cluster a request that build makes, and returns its answer. safe says
// that it may be repeated although a server may have seen it.
func (c *call) send(ctx context.Context, ref federation.Member, safe bool, build func(*upstream.Server, jsonrpc.ID) []byte) (*jsonrpc.Message, error) {
	c.ask(ref.Name)
	m, err := c.session.servers.at(ref.Name).Exchange(ctx, &c.Call, safe, build)
	c.session.outlets.flush() // the client hears of a list that the call has changed before the answer
	return m, err
}

// reach opens the upstream session of a cluster, if none is open, and returns who
// answers there.
func (c *call) reach(ctx context.Context, ref federation.Member) (server *upstream.Server, err error) {
	err = c.session.servers.at(ref.Name).Use(ctx, &c.Call, func(up *upstream.Session) error {
		server = up.Server()
		return nil
	})
	return server, err
}

// disclaim takes out what a modern client says of itself with each request,
// for a server to which its session has said it.
func (c *call) disclaim(e *jsonrpc.Edits, server *upstream.Server) {
	if !c.session.modern || server.Modern() {
		return
	}
	meta := c.msg.Params().Get("_meta")
	for _, key := range []string{jsonrpc.MetaProtocolVersion, jsonrpc.MetaClientInfo, jsonrpc.MetaCapabilities, jsonrpc.MetaLogLevel} {
		e.Delete(meta, key)
	}
}

// ask notes the cluster that is asked.
func (c *call) ask(cluster string) {
	c.Info.SetCluster(cluster)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cluster = cluster
}

// asked returns the cluster that was asked last.
func (c *call) asked() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cluster
}
