package mcp

import (
	"context"
	"errors"
	"net/http"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/session"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// streamTransport carries a session over one stream for all that is for the client:
// that of HTTP+SSE (MCP 2024-11-05), or a WebSocket. The session lasts as long as the
// stream does.
type streamTransport struct {
	*endpoint
	s session.Session
}

// openStream begins a session. Where there is no room for it openStream answers, and
// reports false; close must be called otherwise.
func (e *endpoint) openStream(x exchange, via session.Transport) (streamTransport, bool) {
	s, err := e.sender(x).OpenOnStream(via)
	if err != nil {
		x.fail(jsonrpc.ID{}, err)
		return streamTransport{}, false
	}
	return streamTransport{e, s}, true
}

func (t streamTransport) close() {
	t.s.Only().End()
	t.s.Exit()
}

// pump writes the stream until one of its ends, the connection's included.
func (t streamTransport) pump(x exchange, to eventstream.Sink, signals eventstream.Signals) eventstream.End {
	expired, stop := filter.ExpiryTimer(x.principal().ExpiresAt)
	defer stop()
	signals.Ending, signals.Expired = x.ending(), expired
	return eventstream.Pump(t.s.Only(), to, signals)
}

// Open makes the stream the outlet of all calls of its session.
func (t streamTransport) Open() bool { return true }

// Send implements eventstream.Outlet.
func (t streamTransport) Send(msg []byte) bool { return t.s.Only().Send(msg) }

// Finish queues an answer, between everything else.
func (t streamTransport) Finish(_ int, answer []byte) {
	t.s.Only().Enqueue(answer, eventstream.Required)
}

// Offer implements eventstream.Outlet.
func (t streamTransport) Offer(_ int, answer []byte) bool {
	_, short := t.s.Only().Enqueue(answer, eventstream.Replaceable)
	return !short
}

// incoming is what came for a session.
type incoming struct {
	from session.Sender
	ctx  context.Context
	body []byte
	// later does what may take time.
	later func(f func())
}

// take takes what came for the session. The error says why it is no message.
func (t streamTransport) take(in incoming) error {
	m, err := jsonrpc.Parse(in.body)
	if errors.Is(err, jsonrpc.ErrBatch) && t.s.Batches() {
		members, err := parseBatch(in.body, in.from.Route.Limits.Pending)
		if err != nil {
			return err
		}
		newBatch(t, members, t.memory.Lease(memory.Answer)).each(func(m *jsonrpc.Message, out eventstream.Outlet) { t.handle(in, m, out) })
		return nil
	}
	if err == nil {
		t.handle(in, m, t)
	}
	return err
}

// handle takes one message, whose answer goes to out.
func (t streamTransport) handle(in incoming, m *jsonrpc.Message, out eventstream.Outlet) {
	if m.Kind() != jsonrpc.Request {
		t.s.Inform(in.ctx, in.from, m, in.later)
		return
	}
	if err := otherEra(m); err != nil {
		out.Finish(http.StatusOK, session.Failed(err).Body(m.ID()))
		return
	}
	launch(t.s, in.from, m, out)
}

// otherEra refuses a request of the revision without sessions: the client of a
// stream transport has one.
func otherEra(m *jsonrpc.Message) error {
	switch v := m.Params().Get("_meta", jsonrpc.MetaProtocolVersion); {
	case !v.Exists():
		return nil
	case m.Method() == spec.ServerDiscover:
		return session.NoDiscovery()
	default:
		return spec.UnsupportedVersion(append(spec.Legacy(), spec.Oldest), v.String())
	}
}

// launch runs a request whose answer goes out among others.
func launch(s session.Session, from session.Sender, m *jsonrpc.Message, out eventstream.Outlet) {
	if err := s.Launch(from, m, out); err != nil {
		out.Finish(http.StatusOK, session.Failed(err).Body(m.ID()))
	}
}
