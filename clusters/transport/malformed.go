package transport

import (
	"errors"
	"net/textproto"
	"slices"
	"strings"

	"github.com/quic-go/quic-go/http3"
)

// malformedWords stand in the errors, most of which have no type of their own,
// by which net/http and http3 tell of an answer that is not one of HTTP.
var malformedWords = []string{
	// HTTP/1.1
	"malformed HTTP", "malformed MIME header", "malformed chunked encoding", "invalid byte in chunk length",
	"http chunk length too large", "invalid Content-Length", "bad Content-Length", "multiple Content-Length",
	"unsupported transfer encoding", "too many transfer encodings", "server response headers exceeded", "line too long",
	"too much non-data", "bad trailer key", "too many 1xx informational responses", "trailer header without chunked",
	// HTTP/2
	"connection error: ", "malformed response from server", "response header list larger", "http2: frame too large",
	"note that the frame header looked like an HTTP/1.1 header", "malformed non-numeric status",
	"1xx informational response with END_STREAM", "server replied with more than declared Content-Length",
	// HTTP/3
	"http3: invalid response", "http3: expected first frame", "http3: HEADERS frame too large", "http3: headers too large",
	"peer sent too much data", "peer sent an unexpected frame", "frame received after trailers",
}

// streamError is the error of one HTTP/2 stream, which net/http converts to
// types that look like its own.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (streamError) Error() string { return "stream error" }

// malformed reports whether err says that the server does not keep to HTTP.
func malformed(err error) bool {
	if hungUp(err) {
		return false
	}
	if _, ok := errors.AsType[textproto.ProtocolError](err); ok {
		return true
	}
	if e, ok := errors.AsType[streamError](err); ok {
		// A server may end a stream as it likes.
		return e.Cause == nil || e.Cause.Error() != "received from peer"
	}
	if e, ok := errors.AsType[*http3.Error](err); ok {
		return !e.Remote && (e.ErrorCode == http3.ErrCodeMessageError || e.ErrorCode == http3.ErrCodeFrameError || e.ErrorCode == http3.ErrCodeFrameUnexpected)
	}
	text := err.Error()
	return slices.ContainsFunc(malformedWords, func(words string) bool { return strings.Contains(text, words) })
}
