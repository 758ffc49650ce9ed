package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/clusters/process"
	"github.com/mcpgateway/mcpgateway/clusters/transport"
	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/slot"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/sse"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

// Why a call, a request of a server or a session ends without an answer.
var (
	errCallIdle   = errors.New("neither answer nor progress within call_idle")
	errCallMax    = errors.New("no answer within call_max")
	errListTime   = slot.ErrListTime
	errEnded      = slot.ErrEnded
	errGone       = errors.New("the client has gone")
	ErrPending    = errors.New("too many requests are in flight")
	errNobody     = errors.New("no client is listening")
	errUnanswered = errors.New("the client did not answer in time")
	errHopeless   = errors.New("the last attempt to reach the server has not ended")
)

// canceled is the cause of a call that its client cancelled, with this message.
type canceled struct {
	s   *session
	msg *jsonrpc.Message
}

func (canceled) Error() string { return "the client cancelled the request" }

// Notification implements [slot.Canceled].
func (c canceled) Notification(cluster string, id jsonrpc.ID) []byte {
	var e jsonrpc.Edits
	e.Replace(c.msg.Params().Get("requestId"), []byte(id.Raw()))
	c.s.related(&e, cluster, c.msg.Params().Get("_meta"))
	return e.Apply(c.msg)
}

// Failure is an answer of our own to a request.
type Failure struct {
	Answer spec.Error
	// dead: the session has ended, and a request in it is answered with the status
	// too.
	dead bool
	flag filter.Flag
	// cause is for the log, never for the client.
	cause error
}

func (f *Failure) Error() string {
	if f.cause != nil && f.cause.Error() != f.Answer.Text {
		return f.Answer.Text + ": " + f.cause.Error()
	}
	return f.Answer.Text
}

func (f *Failure) Unwrap() error { return f.cause }

// Body is the JSON-RPC error that answers the request id.
func (f *Failure) Body(id jsonrpc.ID) []byte {
	data := f.Answer.Data
	if data == nil && f.Answer.Code == jsonrpc.CodeInternalError && f.flag != "" {
		data = jsonrpc.NewObject("reason", string(f.flag))
	}
	return jsonrpc.NewError(id, f.Answer.Code, f.Answer.Text, data)
}

// Interruption answers a request whose connection must end before the server has
// answered it.
func Interruption(id jsonrpc.ID) []byte {
	return internal(http.StatusOK, filter.FlagDownstreamConnectionTermination, "the connection had to end before the server answered").Body(id)
}

// internal is the Failure of a request that the client could not have known to
// fail.
func internal(status int, flag filter.Flag, text string) *Failure {
	return &Failure{Answer: spec.Error{Status: status, Code: jsonrpc.CodeInternalError, Text: text}, flag: flag}
}

// Failed makes an answer of what went wrong on the way to a server.
func Failed(err error) *Failure {
	var own *Failure
	if errors.As(err, &own) {
		return own
	}
	var said *spec.Error
	if errors.As(err, &said) {
		return &Failure{Answer: *said}
	}
	f := outcome(err)
	f.cause = err
	return f
}

// Note records what keeps a request from being served, and makes an answer of it.
func Note(info *filter.RequestInfo, err error) *Failure {
	f := Failed(err)
	info.SetFlag(f.flag)
	info.SetReason(f.Error())
	return f
}

// outcome is what the client is told of an error. The text says what happened,
// but nothing about who is behind the gateway beyond the cluster's name, which
// the client knows from the names of the tools.
func outcome(err error) *Failure {
	var connect *transport.ConnectError
	var status *upstream.StatusError
	var unreadable *upstream.UnreadableError
	var long *upstream.TooLongError
	switch {
	case errors.Is(err, slot.ErrChanged):
		f := internal(http.StatusNotFound, filter.FlagUpstreamConnectionTermination, "the session has ended; initialize anew")
		f.dead = true
		return f
	case errors.Is(err, errEnded):
		return internal(http.StatusNotFound, filter.FlagDownstreamConnectionTermination, "the session has ended")
	case errors.Is(err, errGone), errors.As(err, new(canceled)):
		return internal(http.StatusBadGateway, filter.FlagDownstreamConnectionTermination, "the request was cancelled")
	case errors.Is(err, memory.ErrExhausted):
		return internal(http.StatusServiceUnavailable, filter.FlagOverload, memory.ErrExhausted.Error())
	case errors.Is(err, ErrPending):
		return internal(http.StatusServiceUnavailable, filter.FlagOverload, "too many requests are in flight")
	case errors.Is(err, clusters.ErrNoHealthyUpstream), errors.Is(err, transport.ErrRetired):
		return internal(http.StatusServiceUnavailable, filter.FlagNoHealthyUpstream, "no healthy upstream")
	case errors.Is(err, process.ErrOverflow):
		return internal(http.StatusServiceUnavailable, filter.FlagUpstreamOverflow, "the server takes no more sessions now: all its processes are in use, and none became free in time")
	case errors.Is(err, upstream.ErrUnauthorized):
		return internal(http.StatusBadGateway, filter.FlagUpstreamUnauthorized, "the server refused the gateway")
	case errors.Is(err, errCallIdle), errors.Is(err, errCallMax), errors.Is(err, errListTime), errors.Is(err, errHopeless), errors.Is(err, context.DeadlineExceeded):
		return internal(http.StatusGatewayTimeout, filter.FlagUpstreamRequestTimeout, "the server did not answer in time")
	case errors.As(err, &connect):
		return internal(http.StatusBadGateway, filter.FlagUpstreamConnectionFailure, "the server could not be reached")
	case errors.As(err, &status):
		f := internal(http.StatusBadGateway, filter.FlagUpstreamProtocolError, fmt.Sprintf("the server answered with HTTP status %d", status.Code))
		if m := status.Answer(); m != nil {
			f.Answer.Code, f.Answer.Text, f.Answer.Data = int(m.ErrorCode()), m.ErrorMessage(), m.Error().Get("data").Raw()
		}
		return f
	case errors.As(err, &long):
		flag := filter.FlagUpstreamProtocolError
		if long.Short {
			flag = filter.FlagOverload // not 503: the server has acted, and the request is not to be sent again
		}
		return internal(http.StatusBadGateway, flag, long.Error())
	case errors.As(err, &unreadable):
		return internal(http.StatusBadGateway, filter.FlagUpstreamProtocolError, unreadable.Error())
	case errors.Is(err, upstream.ErrProtocol), errors.Is(err, transport.ErrProtocol), errors.Is(err, sse.ErrTooLong):
		return internal(http.StatusBadGateway, filter.FlagUpstreamProtocolError, "the server's answer could not be read")
	}
	// What is left comes from the network.
	return internal(http.StatusBadGateway, filter.FlagUpstreamConnectionTermination, "the connection to the server was lost; whether it acted on the request is unknown")
}
