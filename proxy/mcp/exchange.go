package mcp

import (
	"net/http"

	"github.com/mcpgateway/mcpgateway/listeners"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/downstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/session"
)

// exchange is an HTTP request of a client, and the answer to it.
type exchange struct {
	w http.ResponseWriter
	r *http.Request
}

func (x exchange) info() *filter.RequestInfo { return filter.RequestInfoFrom(x.r.Context()) }

func (x exchange) principal() filter.Principal { return filter.PrincipalFrom(x.r.Context()) }

// refuse answers a request that is no message of a session.
func (x exchange) refuse(status int, id jsonrpc.ID, text string) {
	downstream.Refuse(x.w, x.r, status, jsonrpc.CodeInvalidRequest, id, text)
}

// fail answers a request that err keeps from being served.
func (x exchange) fail(id jsonrpc.ID, err error) {
	f := session.Note(x.info(), err)
	downstream.WriteJSON(x.w, f.Answer.Status, f.Body(id))
}

// reject does the same for a client whose revision has no sessions.
func (x exchange) reject(id jsonrpc.ID, err error) {
	f := session.Note(x.info(), err)
	downstream.WriteJSON(x.w, f.Answer.StatelessStatus(), f.Body(id))
}

// allows refuses all methods but one, and reports whether the request has that.
func (x exchange) allows(method string) bool {
	if x.r.Method != method {
		downstream.NotAllowed(x.w, x.r, method)
	}
	return x.r.Method == method
}

// takesStream refuses a client that takes no event stream, and reports whether it
// does.
func (x exchange) takesStream() bool {
	ok := downstream.ParseAccept(x.r).Streams()
	if !ok {
		x.refuse(http.StatusNotAcceptable, jsonrpc.ID{}, "the answer is text/event-stream")
	}
	return ok
}

// conn is the connection of the request; nil where no listener has accepted it.
func (x exchange) conn() *listeners.Conn { return listeners.FromContext(x.r.Context()) }

// ending returns what is closed when the connection of the request must end;
// nil where there is none that must.
func (x exchange) ending() <-chan struct{} {
	if conn := x.conn(); conn != nil {
		return conn.Ending()
	}
	return nil
}

// interrupted says in the access log what ended the answer.
func (x exchange) interrupted(end eventstream.End) {
	switch end {
	case eventstream.Gone:
		x.info().SetFlag(filter.FlagDownstreamConnectionTermination)
	case eventstream.Drained:
		x.info().SetFlag(filter.FlagDrained)
	case eventstream.Expired:
		x.info().SetFlag(filter.FlagUnauthorized)
	}
}
