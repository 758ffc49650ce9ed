package routes

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/clusters/transport"
	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
)

// failure is what the gateway answers in an upstream's place.
type failure struct {
	status  int // 0 where the client is gone
	flag    filter.Flag
	message string
}

// fail answers a request that got no response header from upstream. The client
// is told the kind of failure; the log has its cause.
func (x *exchange) fail(err error) {
	f := x.classify(err)
	x.info.SetFlag(f.flag)
	x.info.SetReason(err.Error())
	if f.status == 0 {
		panic(http.ErrAbortHandler)
	}
	if x.body.uploading() && x.r.ProtoMajor == 1 {
		// What is left of the request must not be taken for the next one.
		x.w.Header()["Connection"] = []string{"close"}
	}
	if f.flag == filter.FlagOverload && f.status == http.StatusServiceUnavailable {
		x.w.Header()["Retry-After"] = []string{filter.RetryAfter}
	}
	filter.WriteError(x.w, f.status, string(f.flag), f.message)
}

func (x *exchange) classify(err error) failure {
	switch {
	case x.endedBy(errTimeout):
		return failure{504, filter.FlagUpstreamRequestTimeout, "the upstream did not answer in time"}
	case x.endedBy(errIdle) && x.body.uploading():
		return failure{408, filter.FlagStreamIdleTimeout, "the request did not arrive in time"}
	case x.endedBy(errIdle):
		return failure{504, filter.FlagStreamIdleTimeout, "the upstream did not answer in time"}
	}
	if errors.As(err, new(*unpassedError)) && !transport.Idempotent(x.r) {
		// Not 503, by which clients send it again: the upstream has acted on it.
		return failure{502, filter.FlagOverload, "the upstream has answered, and the gateway is short of memory for its answer"}
	}
	if errors.Is(err, memory.ErrExhausted) {
		return failure{503, filter.FlagOverload, memory.ErrExhausted.Error()}
	}
	var client *clientError
	if errors.As(err, &client) || x.body.failure() != nil {
		// The timeout of the listener has ended; the client still reads.
		if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(x.body.failure(), os.ErrDeadlineExceeded) {
			return failure{408, filter.FlagStreamIdleTimeout, "the request did not arrive in time"}
		}
		if x.r.Context().Err() != nil || errors.Is(err, io.ErrUnexpectedEOF) {
			return failure{flag: filter.FlagDownstreamConnectionTermination}
		}
		return failure{400, filter.FlagDownstreamProtocolError, "the request body is malformed"}
	}
	if x.r.Context().Err() != nil || x.endedBy(errHungUp) {
		return failure{flag: filter.FlagDownstreamConnectionTermination}
	}
	var connect *transport.ConnectError
	switch {
	case errors.Is(err, clusters.ErrNoHealthyUpstream):
		return failure{503, filter.FlagNoHealthyUpstream, "no healthy upstream"}
	case errors.As(err, &connect), errors.Is(err, transport.ErrRefused):
		return failure{503, filter.FlagUpstreamConnectionFailure, "the upstream could not be reached"}
	case errors.Is(err, context.DeadlineExceeded):
		// The last try's own limit (per_try_timeout).
		return failure{504, filter.FlagUpstreamRequestTimeout, "the upstream did not answer in time"}
	case errors.Is(err, transport.ErrProtocol):
		return failure{502, filter.FlagUpstreamProtocolError, "the upstream does not keep to HTTP"}
	}
	return failure{502, filter.FlagUpstreamConnectionTermination, "the upstream closed the connection without an answer"}
}

// endedBy reports whether we ended the exchange for this reason.
func (x *exchange) endedBy(cause error) bool { return errors.Is(context.Cause(x.ctx), cause) }

// abort ends an answer that has begun and cannot be completed. The client must
// see that it is not whole: never a clean end.
func (x *exchange) abort(flag filter.Flag, err error) {
	x.info.SetFlag(flag)
	x.info.SetReason(err.Error())
	panic(http.ErrAbortHandler)
}
