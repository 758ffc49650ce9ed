package http1head

import (
	"errors"
	"net/http"
)

// ErrIncomplete is returned for a head whose end has not come yet.
var ErrIncomplete = errors.New("the request's head is incomplete")

// Error says why a request is refused. Its connection must be closed with the
// answer, since the end of the request is not known.
type Error struct {
	Status  int    // of the answer
	Code    string // for programs, in snake_case
	Message string // one sentence, without anything that the client sent
}

func (e *Error) Error() string { return e.Message }

func malformed(message string) error {
	return &Error{http.StatusBadRequest, "malformed_request", message}
}

var (
	errBareLF       = malformed("a line of the request ends with a line feed alone")
	errControl      = malformed("a line of the request has a control character in it")
	errRequestLine  = malformed("the request line is not a method, a target and a version with one space between them")
	errFolded       = malformed("a line of the request's header is folded")
	errName         = malformed("a line of the request's header does not begin with a field's name and a colon")
	errNoHost       = malformed("the request has no Host")
	errHosts        = malformed("the request has more than one Host")
	errLength       = malformed("the request's Content-Length is not a number of bytes")
	errLengths      = malformed("the request has more than one Content-Length")
	errChunk        = malformed("a chunk of the request's body does not begin with its size")
	errChunkEnd     = malformed("a chunk of the request's body is longer than its size")
	errChunkLine    = malformed("the line before a chunk of the request's body is too long")
	errTrailer      = malformed("the request's trailer is too long")
	errVersion      = &Error{http.StatusHTTPVersionNotSupported, "unsupported_version", "the request is of a version of HTTP that is not spoken here"}
	errCoding       = &Error{http.StatusNotImplemented, "unsupported_transfer_encoding", "the request has a Transfer-Encoding other than chunked"}
	errAmbiguous    = &Error{http.StatusBadRequest, "ambiguous_length", "the request has both Content-Length and Transfer-Encoding"}
	errCodingTooOld = &Error{http.StatusBadRequest, "ambiguous_length", "the request has a Transfer-Encoding, which HTTP/1.0 does not know"}
)
