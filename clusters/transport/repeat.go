package transport

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// staleWords are those of the error, which net/http does not export, of a
// request that met a connection which the server closed while it was idle.
// The end of the connection was read before the request was registered on it,
// so that nothing of it was sent; net/http repeats it for idempotent methods
// only.
const staleWords = "http: server closed idle connection"

// sendTries bounds how often an endpoint is asked the same. The bound of
// net/http is seven over HTTP/2, with waits of a minute together, and none over
// HTTP/1.1.
const sendTries = 3

// errAgain takes the place of a body that net/http asks for to repeat a
// request, which is then repeated here: on another connection, and not more
// often than sendTries. net/http asks only where that is safe: the server has
// not looked at the request (RFC 9113, section 8.7), nothing of it was written,
// or it is idempotent and its kept connection closed as it was written (RFC
// 9112, section 9.3.1). The exception is at wantedAgain.
var errAgain = errors.New("the request may be sent again")

func noBodyAgain() (io.ReadCloser, error) { return nil, errAgain }

// errEnded is the error of a request that HTTP/2 carried before it was known
// that it would.
var errEnded = errors.New("the server ended the HTTP/2 stream, or the connection, without an answer; it may have acted on the request")

// noBody is a body without a byte. net/http repeats a request that has no body
// whatever its method.
type noBody struct{}

func (noBody) Read([]byte) (int, error) { return 0, io.EOF }
func (noBody) Close() error             { return nil }

// boundRepeats has net/http leave to us what it would repeat, but for idempotent
// requests without body over HTTP/2.
func (x *exchange) boundRepeats(out *http.Request) {
	replayable(out)
	over2 := !x.set.http1 || x.pool.http2.Load()
	idempotent := Idempotent(out)
	if x.lane != nil && !idempotent && (out.Body == nil || out.Body == http.NoBody) {
		if over2 {
			// The request loses its "content-length: 0" by that. With the field, net/http
			// would send it again after PROTOCOL_ERROR, too, of which the server may have
			// acted on it; and would not say so.
			out.Body = noBody{}
		} else {
			x.once = true // over HTTP/1.1 a noBody would become "Transfer-Encoding: chunked"
		}
	}
	switch {
	case out.GetBody == nil:
	case over2:
		out.GetBody = nil // the error says why it was wanted, as noBodyAgain does not
	case x.lane == nil || idempotent:
		out.GetBody = noBodyAgain
	default:
		out.GetBody = func() (io.ReadCloser, error) {
			if x.carrier.Load() != nil {
				return nil, errEnded
			}
			return nil, errAgain
		}
	}
}

// wantedAgain begins the error of a request without GetBody that net/http would
// repeat over HTTP/2, and unreadWords stand in it where the server has not looked
// at the request. net/http repeats it after RST_STREAM with PROTOCOL_ERROR too,
// by which servers end requests that they may have acted on.
const wantedAgain = "http2: Transport: cannot retry err ["

var unreadWords = []string{"REFUSED_STREAM", "GOAWAY", "client conn not usable"}

// repeatable reports whether err says that it is safe to repeat a request. cause is
// err without what net/http says of repeating.
func repeatable(err error) (safe bool, cause error) {
	text := err.Error()
	if why, ok := strings.CutPrefix(text, wantedAgain); ok {
		why, _, _ = strings.Cut(why, "] after ")
		return slices.ContainsFunc(unreadWords, func(words string) bool { return strings.Contains(why, words) }), errors.New(why)
	}
	return errors.Is(err, errAgain) || text == staleWords, err
}

// replayable makes net/http repeat a PUT and a DELETE where it repeats a GET.
// A field without values is not sent (net/http.Transport).
func replayable(out *http.Request) {
	if out.Method != http.MethodPut && out.Method != http.MethodDelete || isUpgrade(out) {
		return
	}
	if _, ok := out.Header["Idempotency-Key"]; !ok {
		out.Header = out.Header.Clone()
		if out.Header == nil {
			out.Header = http.Header{}
		}
		out.Header["Idempotency-Key"] = nil
	}
}

// Repeat returns the request with its body from the start. The error says that the
// body cannot be had again.
func Repeat(req *http.Request) (*http.Request, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return req, nil
	}
	if req.GetBody == nil {
		return nil, errors.New("its body was not kept to be sent again")
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, err
	}
	again := *req
	again.Body = body
	return &again, nil
}

// unsent is the error of a request that was not repeated any more. why says
// that it cannot be, nil that it was often enough.
func (x *exchange) unsent(why error) error {
	what := "the server refused the request unread (GOAWAY or REFUSED_STREAM)"
	over2 := x.carrier.Load() != nil
	if !over2 {
		what = "the server closed the kept connection as the request was sent"
	}
	err := fmt.Errorf("%s, %d times", what, sendTries)
	if why != nil {
		err = fmt.Errorf("%s, and it cannot be sent again: %w", what, why)
	}
	if over2 {
		return x.pool.dialer.connectError(err)
	}
	return fmt.Errorf("cluster %s: endpoint %s: %w", x.pool.dialer.cluster, x.pool.dialer.Endpoint, err)
}
