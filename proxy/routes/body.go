package routes

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/mcpgateway/mcpgateway/internal/memory"
)

// maxRetryBody is the longest request body that is read before anything goes
// upstream. Such a request can be sent again when the upstream has closed a
// pooled connection, and no upstream waits for a slow client.
const maxRetryBody = 64 << 10

// maxFrame is what net/http takes for a body that it sends over HTTP/2, in bytes,
// where the upstream allows frames of that size, as most do.
const maxFrame = 512 << 10

// attachBody gives the upstream request its body: none, one that can be
// sent again, or the client's own as a stream.
func (x *exchange) attachBody(out *http.Request) error {
	r := x.r
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		x.watch.requestRead()
		return nil
	}
	if b, ok := r.Body.(interface{ Refused() error }); ok && b.Refused() != nil {
		return b.Refused()
	}
	// A client that expects 100 has asked whether the upstream wants the body
	// at all; reading it here would answer in its place.
	if 0 < r.ContentLength && r.ContentLength <= maxRetryBody && len(r.Header["Expect"]) == 0 && len(r.Trailer) == 0 {
		return x.retryBody(out)
	}
	n := x.upload
	if r.ContentLength > 0 {
		n = int(min(r.ContentLength, int64(n)))
	}
	if err := x.lease.Reserve(n); err != nil {
		return err
	}
	x.body = &requestBody{exchange: x}
	x.kept = newKeptBody(x.body, x.memory.Lease(memory.Body))
	out.ContentLength, out.GetBody = r.ContentLength, x.kept.again
	out.Body, _ = x.kept.again()
	if len(r.Trailer) > 0 {
		out.Trailer = make(http.Header, len(r.Trailer))
		for name := range r.Trailer {
			if trails(name) {
				out.Trailer[name] = nil
			}
		}
		x.body.trailer = out.Trailer
		out.ContentLength = -1 // trailers need chunks on HTTP/1.1
	}
	if r.ProtoMajor == 1 {
		// Else the server waits for the rest of the request before it sends
		// the first byte of the answer.
		if err := x.control.EnableFullDuplex(); err != nil {
			return fmt.Errorf("streaming the request body: %w", err)
		}
		if x.conn != nil {
			x.watch.look(x.conn.HungUp)
		}
	}
	return nil
}

func (x *exchange) retryBody(out *http.Request) error {
	if err := x.lease.Reserve(int(x.r.ContentLength)); err != nil {
		return err
	}
	// It grows with what arrives, not with what was promised.
	var buf bytes.Buffer
	body := &requestBody{exchange: x}
	x.body = body
	if n, err := buf.ReadFrom(body); err != nil {
		return err
	} else if n != x.r.ContentLength {
		return &clientError{io.ErrUnexpectedEOF}
	}
	x.body = nil
	data := buf.Bytes()
	out.ContentLength = int64(len(data))
	out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
	out.Body, _ = out.GetBody()
	return nil
}

// clientError is a request body that could not be read: the client has gone, or
// has sent bytes that are no body.
type clientError struct{ err error }

func (e *clientError) Error() string { return "reading the request: " + e.err.Error() }
func (e *clientError) Unwrap() error { return e.err }

// requestBody is the client's body on its way upstream. It is read by a
// goroutine of the upstream connection, or of keptBody, which may outlive the
// exchange. It is never closed: net/http's Close would read on, for up to 256
// KiB, and wait for a client that sends nothing.
type requestBody struct {
	*exchange
	trailer http.Header // to be filled at the end; nil without trailers

	mu  sync.Mutex
	err error // of the last read
}

func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.r.Body.Read(p)
	if n > 0 {
		b.watch.touch()
	}
	if err == nil {
		return n, nil
	}
	if err == io.EOF {
		for name := range b.trailer {
			b.trailer[name] = b.r.Trailer[name]
		}
		b.watch.requestRead()
	} else {
		err = &clientError{err}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
	return n, err
}

// uploading reports whether the client's body is still on its way.
func (b *requestBody) uploading() bool {
	return b != nil && !errors.Is(b.ended(), io.EOF)
}

// failure returns why the client's side of the body broke, or nil.
func (b *requestBody) failure() error {
	var broken *clientError
	if b != nil && errors.As(b.ended(), &broken) {
		return broken
	}
	return nil
}

// ended returns the error of the last read, io.EOF at the end of the body.
func (b *requestBody) ended() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}
