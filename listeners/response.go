package listeners

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"time"
)

// response tells a client to go in the header of its answer, at the last
// moment at which that can be said.
type response struct {
	http.ResponseWriter
	conn  *Conn
	http1 bool
	body  *body // of the request; nil if it has none
	wrote bool  // the header is out
}

// before is called when the header is about to go out, or never will.
func (r *response) before() {
	if r.wrote {
		return
	}
	r.wrote = true
	if r.conn.Retired() {
		// Of HTTP/2 this makes GOAWAY, while other streams go on.
		r.Header().Set("Connection", "close")
	}
	if r.http1 && r.body != nil && !r.body.ended.Load() {
		// net/http reads the rest of a small body before it writes the header,
		// and would wait for a client that never sends it.
		w := r.conn.wire
		w.SetReadDeadline(time.Now().Add(r.conn.server.config.Limits.HeaderTimeout))
		w.liftRead.Store(true)
	}
}

func (r *response) WriteHeader(status int) {
	switch {
	case status >= 200:
		r.before()
	case status == http.StatusSwitchingProtocols:
		r.wrote = true // the Connection header belongs to the upgrade
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *response) Write(p []byte) (int, error) {
	r.before()
	return r.ResponseWriter.Write(p)
}

// WriteString spares io.WriteString a copy.
func (r *response) WriteString(s string) (int, error) {
	r.before()
	return io.WriteString(r.ResponseWriter, s)
}

// ReadFrom lets net/http copy with its own buffers.
func (r *response) ReadFrom(src io.Reader) (int64, error) {
	r.before()
	if to, ok := r.ResponseWriter.(io.ReaderFrom); ok {
		return to.ReadFrom(src)
	}
	return io.Copy(struct{ io.Writer }{r.ResponseWriter}, src)
}

func (r *response) Flush() { r.FlushError() }

// FlushError is what http.ResponseController looks for.
func (r *response) FlushError() error {
	r.before()
	return http.NewResponseController(r.ResponseWriter).Flush()
}

// Hijack leaves the connection to the caller, who must close it.
func (r *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(r.ResponseWriter).Hijack()
	if err == nil {
		r.wrote = true
	}
	return nc, rw, err
}

// Unwrap lets http.ResponseController reach deadlines and full duplex.
func (r *response) Unwrap() http.ResponseWriter { return r.ResponseWriter }
