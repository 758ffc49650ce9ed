package session

import (
	"context"
	"errors"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/slot"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

// rootsTime is how long a call that has not named its question for the client's
// roots may go on without the answer. Servers ask when they are initialised, and
// a modern client's calls each begin a session: each would take another round,
// for an answer that the call does not wait for.
const rootsTime = time.Second

// require takes a request of a server for a modern client: the client is asked
// with the answer to its own request, if that is one that may be answered so.
// related says that the server has named the call in which it asks.
func (q *questions) require(from *slot.Upstream, m *jsonrpc.Message, c *call, related bool) {
	limit := q.s.life.current().Limits.Pending
	a, _, err := q.newRequest(from, m, limit)
	if a == nil {
		return
	}
	switch m.Method() {
	case spec.SamplingCreateMessage, spec.ElicitationCreate, spec.RootsList:
		if err != nil {
			break
		}
		if c == nil || c.suspended == nil || !spec.Request(c.msg.Method()).MayRequireInput {
			err = errNobody
			break
		}
		patience := time.Duration(0)
		if !related && m.Method() == spec.RootsList {
			patience = rootsTime
		}
		c.pause()
		a.call = c
		if err = c.suspended.ask(a, limit, patience); err != nil {
			c.unpause() // to refuse the question takes none of the user's time
			a.call = nil
		}
	default:
		err = spec.MethodNotFound(m.Method())
	}
	q.run(a, err, func(ctx context.Context, up *upstream.Session) ([]byte, error) {
		answer, err := a.wait(ctx, up)
		if err != nil {
			if errors.Is(err, errUnanswered) {
				c.cancel(err) // no client will ever take the call up
			}
			return nil, err
		}
		var e jsonrpc.Edits
		e.SetID(answer, m.ID())
		return e.Apply(answer), nil
	}, func(err error) []byte { return undeliverable(err).Body(m.ID()) })
}

// undeliverable answers a server whose request cannot be brought to its client.
func undeliverable(err error) *Failure {
	var own *Failure
	var said *spec.Error
	switch {
	case errors.As(err, &own), errors.As(err, &said):
		return Failed(err)
	case errors.Is(err, errNobody):
		return &Failure{Answer: spec.Error{Code: jsonrpc.CodeMethodNotFound, Text: "the client takes no requests here"}}
	}
	return &Failure{Answer: spec.Error{Code: jsonrpc.CodeInternalError, Text: err.Error()}}
}
