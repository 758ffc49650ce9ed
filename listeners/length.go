package listeners

import (
	"errors"
	"io"
	"net/http"
)

// errLength ends a body that is not as long as the request said (RFC 9113
// section 8.1.1, RFC 9114 section 4.1.2).
var errLength = errors.New("the body is not as long as content-length says")

// declared is the body of a request of HTTP/2 or 3 that says how long it is. It
// holds its last byte back until the stream has ended: with that byte, the
// request would look whole to an upstream, whatever follows. On HTTP/1.1 nothing
// can follow.
type declared struct {
	io.ReadCloser
	left int64 // of the body
	last [2]byte
	have int // of last
	err  error
}

func (d *declared) Read(p []byte) (int, error) {
	switch {
	case d.err != nil:
		return 0, d.err
	case len(p) == 0:
		return 0, nil
	case d.left > 1:
		n, err := d.ReadCloser.Read(p[:min(int64(len(p)), d.left-1)])
		d.left -= int64(n)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			d.err, err = errLength, errLength
		}
		return n, err
	}
	for {
		n, err := d.ReadCloser.Read(d.last[d.have:])
		d.have += n
		switch ended := errors.Is(err, io.EOF); {
		case d.have > 1, d.have == 0 && (ended || errors.Is(err, io.ErrUnexpectedEOF)):
			d.err = errLength
			return 0, errLength
		case ended:
			p[0], d.err = d.last[0], io.EOF
			return 1, io.EOF
		case err != nil:
			return 0, err
		}
	}
}

// holdToLength makes of the body what its declared length promises, or leaves
// the request such that its Content-Length and its length contradict each other,
// as net/http does with a length that it cannot read.
func (r *response) holdToLength(req *http.Request) {
	if req.Method == http.MethodConnect || len(req.Header["Content-Length"]) == 0 {
		return
	}
	if req.ContentLength > 0 {
		req.Body = &declared{ReadCloser: req.Body, left: req.ContentLength}
		return
	}
	// The end of the stream may come apart from the header, but belongs to it.
	u := &upload{ReadCloser: req.Body, request: req}
	if u.empty(http.NewResponseController(r.ResponseWriter), r.conn.limits.HeaderTimeout) {
		req.Body = http.NoBody
		return
	}
	req.Body, req.ContentLength = u, -1
}
