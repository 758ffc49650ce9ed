package listeners

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// upload is the body of a request of HTTP/3. It makes of it what net/http makes
// of the bodies of the other versions, and http3 does not.
type upload struct {
	io.ReadCloser
	// http3 puts the trailer into its own request; it belongs into the map of
	// the announced names, which all copies of the request share.
	request *http.Request
	trailer http.Header
	ask     func() // tells the client to send; nil when there is no need
	// What was read by empty.
	first []byte
	err   error
}

// upload is the body of http3's own request, and its length.
func (r *response) upload(req *http.Request) (io.ReadCloser, int64) {
	u := &upload{ReadCloser: req.Body, request: req, trailer: req.Trailer}
	if mayBeEmpty(req) && u.empty(http.NewResponseController(r.ResponseWriter), r.conn.limits.HeaderTimeout) {
		return http.NoBody, 0
	}
	if expects100(req) {
		e := &expecting{ResponseWriter: r.ResponseWriter, header: make(http.Header)}
		r.ResponseWriter, r.expecting = e, e
		u.ask = func() {
			r.pace(0)
			e.proceed()
		}
	}
	return u, req.ContentLength
}

// mayBeEmpty reports whether r, which is of HTTP/3, likely has no body. There
// is no length in its header that says so, only the end of the stream.
func mayBeEmpty(r *http.Request) bool {
	if r.ContentLength >= 0 || len(r.Trailer) > 0 || len(r.Header["Expect"]) > 0 {
		return false
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodDelete, http.MethodOptions:
		return true
	}
	return false
}

// empty reports whether the body ends before it has begun. The end belongs to
// the header then, and may come no later; if it does, the reader of the body
// is told.
func (u *upload) empty(control *http.ResponseController, patience time.Duration) bool {
	_ = control.SetReadDeadline(time.Now().Add(patience))
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	var first [1]byte
	n := 0
	for n == 0 && u.err == nil { // a trailer makes a Read without bytes
		n, u.err = u.ReadCloser.Read(first[:])
	}
	u.first = first[:n]
	return n == 0 && errors.Is(u.err, io.EOF)
}

func (u *upload) Read(p []byte) (n int, err error) {
	if u.ask != nil {
		u.ask()
		u.ask = nil
	}
	switch {
	case len(u.first) > 0:
		n = copy(p, u.first)
		u.first = u.first[n:]
		return n, nil
	case u.err != nil:
		return 0, u.err
	}
	n, err = u.ReadCloser.Read(p)
	if err == io.EOF {
		for name := range u.trailer {
			u.trailer[name] = u.request.Trailer[name]
		}
	}
	return n, err
}
