package listeners

import (
	"io"
	"maps"
	"net/http"
	"reflect"
	"strings"
	"sync"
)

// expecting is http3's ResponseWriter for a client that asks before it sends
// its body (RFC 9110 section 10.1.1), which http3 does not answer. The 100 goes
// out with the first Read, which may be on another goroutine than the handler's
// (an upstream connection's): it must neither send nor look at the header that
// the handler is making.
type expecting struct {
	http.ResponseWriter
	header http.Header // the handler's

	mu   sync.Mutex // guards ResponseWriter until over
	over bool       // the final header is the handler's business, or all is past
}

// expects100 reports whether the client waits for a 100.
func expects100(r *http.Request) bool {
	return r.Method != http.MethodConnect && strings.EqualFold(r.Header.Get("Expect"), "100-continue")
}

// proceed sends the 100, unless the answer was faster.
func (e *expecting) proceed() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.over {
		e.ResponseWriter.WriteHeader(http.StatusContinue)
	}
}

// begin is called before the final header goes out.
func (e *expecting) begin() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.over {
		e.over = true
		e.publish()
	}
}

// end is called when the handler has returned, or has panicked.
func (e *expecting) end() {
	e.begin()
	e.publish() // the trailer
}

func (e *expecting) publish() { maps.Copy(e.ResponseWriter.Header(), e.header) }

func (e *expecting) Header() http.Header { return e.header }

func (e *expecting) WriteHeader(status int) {
	if status >= 200 {
		e.begin()
		e.ResponseWriter.WriteHeader(status)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.over {
		e.publish()
		e.ResponseWriter.WriteHeader(status)
		clear(e.ResponseWriter.Header())
	}
}

func (e *expecting) Write(p []byte) (int, error) {
	e.begin()
	return e.ResponseWriter.Write(p)
}

// FlushError is what http.ResponseController looks for.
func (e *expecting) FlushError() error {
	e.begin()
	return http.NewResponseController(e.ResponseWriter).Flush()
}

// Unwrap lets http.ResponseController reach deadlines.
func (e *expecting) Unwrap() http.ResponseWriter { return e.ResponseWriter }

// wantedFirst reports whether the client of an HTTP/2 request waits for a 100
// before it sends the body. net/http takes the field from the header and sends
// the 100 with the first Read; only its body still knows.
func wantedFirst(body io.Reader) bool {
	v := reflect.Indirect(reflect.ValueOf(body))
	if v.Kind() != reflect.Struct {
		return false
	}
	v = v.FieldByName("needsContinue")
	return v.Kind() == reflect.Bool && v.Bool()
}
