package upstream

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/sse"
)

// answer is the answer stream of one call, over all its resumptions.
type answer struct {
	request
	t      *streamable
	lease  *lease
	caller *Caller
	position
}

// follow reads the stream until the response is there, and resumes it where
// it breaks off. It ends the lease.
func (a *answer) follow(res *http.Response) (*jsonrpc.Message, error) {
	for {
		m, err := a.read(res)
		if m != nil {
			a.t.drain(res.Body, a.lease)
			return m, nil
		}
		res.Body.Close()
		if res, err = a.resume(err); err != nil {
			a.lease.end()
			return nil, err
		}
	}
}

// read reads events until the response or the end of the stream.
func (a *answer) read(res *http.Response) (*jsonrpc.Message, error) {
	events := a.t.in.limits.events(res.Body)
	defer events.Close()
	for {
		event, err := events.Next()
		if err != nil {
			return nil, err
		}
		a.passed(event)
		if event.Name == "endpoint" && a.t.http.server.Load() == nil {
			return nil, errEndpointEvent
		}
		if m, ok := skimmed(event); ok {
			if id := m.ID(); m.IsResponse() && a.concerns(id) || !m.IsCall() && id.IsZero() {
				return nil, a.t.in.limits.tooLong(m.short)
			}
			a.t.in.passOver(m.IsCall(), m.ID())
			continue
		}
		if event.Data == nil {
			a.caller.primed()
		}
		if !isMessageEvent(event) {
			continue
		}
		messages, err := parse(event.Data)
		if err != nil {
			if a.isAnswer(event.Data) {
				return nil, &UnreadableError{err.Error()}
			}
			a.t.in.unreadable(event.Data, err)
		}
		for _, m := range messages {
			over := a.t.in.limits.oversized(m)
			switch {
			case a.t.in.answers(m, a.id) && over:
				return nil, a.t.in.limits.tooLong(false)
			case a.t.in.answers(m, a.id):
				a.caller.take(&events.Lease)
				return m, nil
			case over:
				a.t.in.passOver(m.Kind() != jsonrpc.Response, m.ID())
			default:
				a.t.in.route(m, a.on)
			}
		}
	}
}

// isAnswer reports whether bytes that are no message were meant as the answer.
func (a *answer) isAnswer(b []byte) bool {
	id, method, ok := salvage(b)
	if ok && !id.IsZero() {
		return method == "" && a.concerns(id)
	}
	return method == "" && isMessage(b)
}

// concerns reports whether id is that of the call, whatever its type.
func (a *answer) concerns(id jsonrpc.ID) bool { return id == a.id || id.Twin() == a.id }

// answers reports whether m is the response to the request id, on a stream that
// was opened for it. An error without an id is the response of a server that
// did not understand as much of the request (JSON-RPC 2.0, section 5). What passes
// has the id that its client knows.
func (in *inbox) answers(m *jsonrpc.Message, id jsonrpc.ID) bool {
	return m.Kind() == jsonrpc.Response && (m.ID() == id || !in.passes && (m.ID().Twin() == id || m.ID().IsZero() && m.IsError()))
}

// resume asks for the rest of the stream, each time after the wait that the
// server wants (MCP 2025-11-25, Resumability and Redelivery). cause is why the
// stream ended. Streams without sessions cannot be resumed.
func (a *answer) resume(cause error) (*http.Response, error) {
	if errors.Is(cause, errEndpointEvent) || errors.As(cause, new(*UnreadableError)) || errors.As(cause, new(*TooLongError)) {
		return nil, cause
	}
	if errors.Is(cause, io.EOF) {
		cause = io.ErrUnexpectedEOF
	}
	for a.lastID != "" && a.repeats == nil && !a.caller.unwanted() && !errors.Is(cause, sse.ErrTooLong) && a.attempts.Again(a.lease.ctx, nil) {
		res, err := a.t.roundTrip(a.lease.ctx, http.MethodGet, nil, nil, a.lastID)
		if err != nil {
			cause = err
			continue
		}
		if success(res) && mediaType(res) == typeEvents {
			return res, nil
		}
		_, cause = a.t.refused(a.lease.ctx, res, jsonrpc.ID{})
		res.Body.Close()
		if res.StatusCode < http.StatusInternalServerError || errors.Is(cause, ErrSessionLost) {
			break // an answer that does not change
		}
	}
	if a.lease.ctx.Err() != nil {
		cause = context.Cause(a.lease.ctx)
	}
	return nil, &interruptedError{cause}
}

// isMessageEvent reports whether an event of any stream holds messages.
func isMessageEvent(event sse.Event) bool {
	return len(event.Data) > 0 && (event.Name == "" || event.Name == "message")
}
