package mcp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/clusters/process"
	"github.com/mcpgateway/mcpgateway/clusters/transport"
	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/sse"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

var (
	errCallIdle   = errors.New("neither answer nor progress within call_idle")
	errCallMax    = errors.New("no answer within call_max")
	errListTime   = errors.New("no answer within timeouts.list")
	errEnded      = errors.New("the session has ended")
	errChanged    = errors.New("the server came back with another version or fewer capabilities")
	errGone       = errors.New("the client has gone")
	errPending    = errors.New("too many requests are in flight")
	errNobody     = errors.New("no client is listening")
	errUnanswered = errors.New("the client did not answer in time")
	errHopeless   = errors.New("the last attempt to reach the server has not ended")
)

// canceled is the cause of a call that its client cancelled, with this message.
type canceled struct{ msg *jsonrpc.Message }

func (canceled) Error() string { return "the client cancelled the request" }

// failure is an answer of our own to a request.
type failure struct {
	// status is the HTTP status outside of a session; inside of one it is 200
	// unless dead is set (404).
	status int
	dead   bool
	code   int
	text   string
	data   []byte // of a server's own error
	flag   filter.Flag
	// cause is for the log, never for the client.
	cause error
}

func (f *failure) Error() string {
	if f.cause != nil {
		return f.text + ": " + f.cause.Error()
	}
	return f.text
}

func (f *failure) Unwrap() error { return f.cause }

// body is the JSON-RPC error that answers the request id.
func (f *failure) body(id jsonrpc.ID) []byte {
	data := f.data
	if data == nil && f.code == jsonrpc.CodeInternalError && f.flag != "" {
		data = jsonrpc.AppendString([]byte(`{"reason":`), string(f.flag))
		data = append(data, '}')
	}
	return jsonrpc.NewError(id, f.code, f.text, data)
}

// invalid refuses params that the client could have known to be wrong.
func invalid(text string) *failure {
	return &failure{status: http.StatusOK, code: jsonrpc.CodeInvalidParams, text: text}
}

// failed makes an answer of what went wrong on the way to a server. The text
// tells the client what happened, but nothing about who is behind the gateway
// beyond the cluster's name, which it knows from the names of the tools.
func failed(err error) *failure {
	var own *failure
	if errors.As(err, &own) {
		return own
	}
	f := &failure{code: jsonrpc.CodeInternalError, cause: err}
	var connect *transport.ConnectError
	var status *upstream.StatusError
	var unreadable *upstream.UnreadableError
	var long *upstream.TooLongError
	switch {
	case errors.Is(err, errChanged):
		f.status, f.dead, f.flag, f.text = http.StatusNotFound, true, filter.FlagUpstreamConnectionTermination, "the session has ended; initialize anew"
	case errors.Is(err, errEnded):
		f.status, f.flag, f.text = http.StatusNotFound, filter.FlagDownstreamConnectionTermination, "the session has ended"
	case errors.Is(err, errGone), errors.As(err, new(canceled)):
		f.status, f.flag, f.text = http.StatusBadGateway, filter.FlagDownstreamConnectionTermination, "the request was cancelled"
	case errors.Is(err, memory.ErrExhausted):
		f.status, f.flag, f.text = http.StatusServiceUnavailable, filter.FlagOverload, memory.ErrExhausted.Error()
	case errors.Is(err, errPending):
		f.status, f.flag, f.text = http.StatusServiceUnavailable, filter.FlagOverload, "too many requests are in flight"
	case errors.Is(err, clusters.ErrNoHealthyUpstream), errors.Is(err, transport.ErrRetired):
		f.status, f.flag, f.text = http.StatusServiceUnavailable, filter.FlagNoHealthyUpstream, "no healthy upstream"
	case errors.Is(err, process.ErrOverflow):
		f.status, f.flag, f.text = http.StatusServiceUnavailable, filter.FlagUpstreamOverflow, "the server takes no more sessions now: all its processes are in use, and none became free in time"
	case errors.Is(err, upstream.ErrUnauthorized):
		f.status, f.flag, f.text = http.StatusBadGateway, filter.FlagUpstreamUnauthorized, "the server refused the gateway"
	case errors.Is(err, errCallIdle), errors.Is(err, errCallMax), errors.Is(err, errListTime), errors.Is(err, errHopeless), errors.Is(err, context.DeadlineExceeded):
		f.status, f.flag, f.text = http.StatusGatewayTimeout, filter.FlagUpstreamRequestTimeout, "the server did not answer in time"
	case errors.As(err, &connect):
		f.status, f.flag, f.text = http.StatusBadGateway, filter.FlagUpstreamConnectionFailure, "the server could not be reached"
	case errors.As(err, &status):
		f.status, f.flag, f.text = http.StatusBadGateway, filter.FlagUpstreamProtocolError, fmt.Sprintf("the server answered with HTTP status %d", status.Code)
		if m := status.Answer(); m != nil {
			f.code, f.text, f.data = int(m.ErrorCode()), m.ErrorMessage(), m.Error().Get("data").Raw()
		}
	case errors.As(err, &long):
		f.status, f.flag, f.text = http.StatusBadGateway, filter.FlagUpstreamProtocolError, long.Error()
		if long.Short {
			// Not 503: the server has acted, and the request is not to be sent again.
			f.flag = filter.FlagOverload
		}
	case errors.As(err, &unreadable):
		f.status, f.flag, f.text = http.StatusBadGateway, filter.FlagUpstreamProtocolError, unreadable.Error()
	case errors.Is(err, upstream.ErrProtocol), errors.Is(err, transport.ErrProtocol), errors.Is(err, sse.ErrTooLong):
		f.status, f.flag, f.text = http.StatusBadGateway, filter.FlagUpstreamProtocolError, "the server's answer could not be read"
	default: // what is left comes from the network
		f.status, f.flag, f.text = http.StatusBadGateway, filter.FlagUpstreamConnectionTermination, "the connection to the server was lost; whether it acted on the request is unknown"
	}
	return f
}

// refuse answers a request that is not served as JSON-RPC at all.
func refuse(w http.ResponseWriter, r *http.Request, status, code int, id jsonrpc.ID, text string) {
	filter.RecordFrom(r.Context()).SetReason(text)
	writeJSON(w, status, jsonrpc.NewError(id, code, text, nil))
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Content-Type-Options", "nosniff")
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", filter.RetryAfter)
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone needs no answer
}
