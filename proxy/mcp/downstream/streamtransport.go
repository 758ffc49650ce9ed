package downstream

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

// take takes what came for the session. The error says why it is no message.
func (t streamTransport) take(in incoming, body []byte) error {
	m, err := jsonrpc.Parse(body)
	if errors.Is(err, jsonrpc.ErrBatch) && t.s.Batches() {
		members, err := parseBatch(body, in.from.Route.Limits.Pending)
		if err == nil {
			newBatch(t, members, t.route.Memory().Lease(memory.Answer)).each(func(m *jsonrpc.Message, out eventstream.Outlet) { t.handle(in, m, out) })
		}
		return err
	}
	if err == nil {
		t.handle(in, m, t)
	}
	return err
}

// handle takes one message, whose answer goes to out. The revision without sessions
// has no such transport.
func (t streamTransport) handle(in incoming, m *jsonrpc.Message, out eventstream.Outlet) {
	version := m.Params().Get("_meta", jsonrpc.MetaProtocolVersion)
	switch {
	case m.Kind() != jsonrpc.Request || !version.Exists():
		in.take(t.s, m, out)
	case m.Method() == spec.ServerDiscover:
		out.Finish(http.StatusOK, session.Failed(session.NoDiscovery()).Body(m.ID()))
	default:
		err := spec.UnsupportedVersion(append(spec.Legacy(), spec.Oldest), version.String())
		out.Finish(http.StatusOK, session.Failed(err).Body(m.ID()))
	}
}

// incoming is what messages of a session came by.
type incoming struct {
	from session.Sender
	ctx  context.Context
	// later runs what may take time.
	later func(f func())
}

// take takes a message, whose answer goes out among others.
func (in incoming) take(s session.Session, m *jsonrpc.Message, out eventstream.Outlet) {
	if m.Kind() != jsonrpc.Request {
		s.Inform(in.ctx, in.from, m, in.later)
	} else if err := s.Launch(in.from, m, out); err != nil {
		out.Finish(http.StatusOK, session.Failed(err).Body(m.ID()))
	}
}
