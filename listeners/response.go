package listeners

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// response tells a client to go in the header of its answer, at the last
// moment at which that can be said.
type response struct {
	http.ResponseWriter
	conn    *Conn
	version int    // of HTTP
	host    string // of the request
	body    *body  // of the request; nil if it has none
	wrote   bool   // the header is out
	status  int    // of the answer; 0 where no handler has named it

	expecting  *expecting // nil unless the client is, over HTTP/3
	fullDuplex bool
	hijacked   bool

	mu      sync.Mutex
	writeBy time.Time // the deadline that a handler set, as in slowPeer
}

// before is called when the header is about to go out, or never will.
func (r *response) before() {
	if r.wrote {
		return
	}
	r.wrote = true
	if r.body != nil {
		r.body.answering.Store(true)
	}
	if r.version < 3 {
		r.advertise()
		if r.conn.Retired() {
			// Of HTTP/2 this makes GOAWAY, while other streams go on.
			r.Header().Set("Connection", "close")
		}
	}
	if !r.fullDuplex {
		r.boundBody()
	}
}

// boundBody limits the time that net/http spends on the rest of a body: it
// reads a small one before it writes the header, and again after the handler
// has returned, and would wait for a client that never sends it.
func (r *response) boundBody() {
	if r.version == 1 && r.body != nil && !r.body.ended.Load() {
		r.conn.httpConn.bound(r.conn.limits.HeaderTimeout)
	}
}

// finish is called when the handler has returned.
func (r *response) finish() {
	if !r.hijacked {
		r.before()
		r.linger()
		r.boundBody()
		r.pace(0) // http3 writes what is left, and the trailer
	}
}

// over is called after finish, and when the handler has panicked.
func (r *response) over() {
	if r.expecting != nil {
		r.expecting.end()
	}
}

func (r *response) WriteHeader(status int) {
	switch {
	case status >= 200:
		r.status = status
		if status == http.StatusNotModified && r.version == 1 {
			r.keepLength()
		}
		r.before()
	case status == http.StatusSwitchingProtocols:
		r.wrote = true // the Connection header belongs to the upgrade
	}
	r.ResponseWriter.WriteHeader(status)
}

// keepLength lets an answer without body say how long the body would be (RFC
// 9110 section 8.6): net/http takes the field from the header of a 304, by its
// canonical name.
func (r *response) keepLength() {
	const canonical = "Content-Length"
	h := r.Header()
	if values, ok := h[canonical]; ok {
		delete(h, canonical)
		h[strings.ToLower(canonical)] = values
	}
}

func (r *response) Write(p []byte) (int, error) {
	r.before()
	r.pace(len(p))
	return r.ResponseWriter.Write(p)
}

// pace is what slowPeer is for TCP: a client that takes nothing for the idle
// timeout is given up.
func (r *response) pace(n int) {
	if r.version != 3 {
		return
	}
	by := time.Now().Add(r.conn.limits.writeTime(n))
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.writeBy.IsZero() && r.writeBy.Before(by) {
		by = r.writeBy
	}
	_ = http.NewResponseController(r.ResponseWriter).SetWriteDeadline(by)
}

// SetWriteDeadline is what http.ResponseController looks for.
func (r *response) SetWriteDeadline(t time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writeBy = t
	return http.NewResponseController(r.ResponseWriter).SetWriteDeadline(t)
}

// altSvcAge is how long clients remember that there is HTTP/3: short, so that a
// listener that ceases to speak it is not asked for long.
const altSvcAge = 5 * time.Minute

// advertise tells clients of HTTP/1.1 and 2 that there is HTTP/3 (RFC 7838), on
// the port that they came to: what is mapped to us is known to them by another
// number than ours. A connection that is to go says nothing, since its successor
// may speak no HTTP/3 any more. What the route says goes before.
func (r *response) advertise() {
	c := r.conn
	if !c.server.config.serves(protoHTTP3) || c.TLS() == nil || c.retireAt.Load() != 0 {
		return
	}
	if _, ok := r.Header()["Alt-Svc"]; ok {
		return
	}
	port := (&url.URL{Host: r.host}).Port()
	if port == "" {
		port = "443"
	}
	r.Header()["Alt-Svc"] = []string{fmt.Sprintf(`h3=":%s"; ma=%d`, port, int(altSvcAge.Seconds()))}
}

// FlushError is what http.ResponseController looks for.
func (r *response) FlushError() error {
	r.before()
	r.pace(0)
	return http.NewResponseController(r.ResponseWriter).Flush()
}

// Hijack leaves the connection to the caller, who must close it.
func (r *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(r.ResponseWriter).Hijack()
	r.hijacked = err == nil
	return nc, rw, err
}

// EnableFullDuplex is what http.ResponseController looks for.
func (r *response) EnableFullDuplex() error {
	if r.version == 3 { // which knows nothing else
		r.fullDuplex = true
		return nil
	}
	err := http.NewResponseController(r.ResponseWriter).EnableFullDuplex()
	r.fullDuplex = err == nil
	return err
}

// Unwrap lets http.ResponseController reach the deadline for reading.
func (r *response) Unwrap() http.ResponseWriter { return r.ResponseWriter }
