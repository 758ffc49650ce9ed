package routes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/mcpgateway/mcpgateway/clusters/transport"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
)

// passAnswer passes the answer of the upstream on.
func (x *exchange) passAnswer(resp *http.Response) {
	defer resp.Body.Close()
	if resp.StatusCode < 200 { // such as 099, at which net/http would panic
		x.fail(fmt.Errorf("%w: it answered with status %d", transport.ErrProtocol, resp.StatusCode))
		return
	}
	h := x.w.Header()
	endToEnd(h, resp.Header)
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // none, not net/http's guess
	}
	announced := trailerNames(resp)
	if announced != "" {
		h["Trailer"] = []string{announced}
		if x.r.ProtoMajor == 1 {
			delete(h, "Content-Length") // HTTP/2 may have both; here trailers need chunks
		}
	}
	if x.body.uploading() && x.r.ProtoMajor == 1 {
		// The upstream answered before it had the whole request. What is left of the
		// request must not be taken for the next one, and the handler may read it no
		// more.
		h["Connection"] = []string{"close"}
	}
	x.w.WriteHeader(resp.StatusCode)
	switch {
	case resp.StatusCode == http.StatusNotModified:
		// Its Content-Length is that of a body which does not come. Over HTTP/2
		// net/http would wait for that.
	case eventStream(resp):
		x.copyEvents(resp)
	default:
		x.copyBody(resp)
	}
	for name, values := range resp.Trailer {
		if !trailsBack(name, resp.Header["Connection"]) {
			continue
		}
		if !httpguts.HeaderValuesContainsToken([]string{announced}, name) {
			name = http.TrailerPrefix + name
		}
		h[name] = values
	}
}

// reserve charges what the upstream may send of an answer over HTTP/2 and HTTP/3
// while the client reads slowly; over HTTP/1.1 the kernel keeps it. An answer
// for which there is no room is not passed on.
func (x *exchange) reserve(resp *http.Response) error {
	if resp.ProtoMajor < 2 || resp.StatusCode == http.StatusSwitchingProtocols {
		return nil
	}
	n := transport.StreamWindow
	switch {
	case resp.ContentLength >= 0:
		n = int(min(resp.ContentLength, transport.StreamWindow))
	case eventStream(resp):
		n = eventWindow
	}
	if err := x.window.Grow(n + copyBuffer); err != nil {
		resp.Body.Close()
		return &unpassedError{err}
	}
	return nil
}

// unpassedError is why an answer that has come is not passed on.
type unpassedError struct{ err error }

func (e *unpassedError) Error() string { return "the answer is not passed on: " + e.err.Error() }
func (e *unpassedError) Unwrap() error { return e.err }

// eventWindow is what is charged for a stream of events, in bytes: it lasts, and
// most of the time nothing of it waits.
const eventWindow = 32 << 10

// copyBody passes each part of the body on as it comes. It delays nothing
// unless the body ends with it: net/http flushes what is left at the end.
func (x *exchange) copyBody(resp *http.Response) {
	left := resp.ContentLength
	// When the first byte comes is unknown, and it may be long. An answer
	// without body must stay one frame: gRPC insists.
	if left < 0 && x.r.Method != http.MethodHead || left > 0 && x.body.uploading() {
		x.flush()
	}
	buf := x.buffers.Get().(*[copyBuffer]byte)
	defer x.buffers.Put(buf)
	for {
		n, err := resp.Body.Read(buf[:])
		if n > 0 {
			left -= int64(n)
			x.write(buf[:n])
			if left != 0 && err == nil {
				x.flush()
			}
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			x.abortRead(err)
		}
	}
}

func (x *exchange) write(p []byte) {
	x.watch.touch()
	if _, err := x.w.Write(p); err != nil {
		x.abortWrite(err)
	}
	x.watch.touch()
}

func (x *exchange) flush() {
	if err := x.control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		x.abortWrite(err)
	}
}

// abortRead ends an answer whose upstream broke off.
func (x *exchange) abortRead(err error) {
	switch cause := context.Cause(x.ctx); {
	case errors.Is(cause, errIdle):
		x.abort(filter.FlagStreamIdleTimeout, errIdle)
	case errors.Is(cause, errDrained), errors.Is(cause, errExpired):
		x.abort(endFlag(cause), cause)
	case x.r.Context().Err() != nil, x.endedBy(errHungUp):
		x.abort(filter.FlagDownstreamConnectionTermination, err)
	case errors.Is(err, transport.ErrProtocol):
		x.abort(filter.FlagUpstreamProtocolError, err)
	}
	x.abort(filter.FlagUpstreamConnectionTermination, err)
}

// abortWrite ends an answer whose client is gone.
func (x *exchange) abortWrite(err error) {
	if x.endedBy(errIdle) {
		x.abort(filter.FlagStreamIdleTimeout, errIdle)
	}
	x.abort(filter.FlagDownstreamConnectionTermination, err)
}

// eventStream reports whether the answer is server-sent events that can be
// read: compressed ones cannot.
func eventStream(resp *http.Response) bool {
	media, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(media), "text/event-stream") && len(resp.Header["Content-Encoding"]) == 0
}
