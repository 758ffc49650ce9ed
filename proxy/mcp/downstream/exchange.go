package downstream

import (
	"errors"
	"net/http"

	"github.com/mcpgateway/mcpgateway/listeners"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/session"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// exchange is an HTTP request of a client, and the answer to it.
type exchange struct {
	w http.ResponseWriter
	r *http.Request
}

func (x exchange) info() *filter.RequestInfo { return filter.RequestInfoFrom(x.r.Context()) }

func (x exchange) principal() filter.Principal { return filter.PrincipalFrom(x.r.Context()) }

// fail answers a request that err keeps from being served, and records why.
func (x exchange) fail(id jsonrpc.ID, err error) {
	f := session.Note(x.info(), err)
	eventstream.WriteJSON(x.w, f.Answer.Status, f.Body(id))
}

// reject does the same for a client whose revision has no sessions.
func (x exchange) reject(id jsonrpc.ID, err error) {
	f := session.Note(x.info(), err)
	eventstream.WriteJSON(x.w, f.Answer.StatelessStatus(), f.Body(id))
}

// refuse fails a request that is no message of a session.
func (x exchange) refuse(status int, id jsonrpc.ID, text string) {
	x.fail(id, &spec.Error{Status: status, Code: jsonrpc.CodeInvalidRequest, Text: text})
}

// refuseParse fails a request that err says is no message.
func (x exchange) refuseParse(err error) {
	x.fail(jsonrpc.ID{}, &spec.Error{Status: http.StatusBadRequest, Code: parseCode(err), Text: err.Error()})
}

// parseCode is the code that answers what is no message.
func parseCode(err error) int {
	var parse *jsonrpc.ParseError
	if errors.As(err, &parse) {
		return parse.Code
	}
	return jsonrpc.CodeParseError
}

// notAllowed refuses a request whose method is none of those that allow names.
func (x exchange) notAllowed(allow string) {
	x.w.Header().Set("Allow", allow)
	x.refuse(http.StatusMethodNotAllowed, jsonrpc.ID{}, "method not allowed")
}

// allows refuses all methods but one, and reports whether the request has that.
func (x exchange) allows(method string) bool {
	if x.r.Method != method {
		x.notAllowed(method)
	}
	return x.r.Method == method
}

// takesStream refuses a client that takes no event stream, and reports whether it
// does.
func (x exchange) takesStream() bool {
	ok := parseAccept(x.r).streams()
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
