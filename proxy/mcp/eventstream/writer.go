package eventstream

import (
	"net/http"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/sse"
)

// reconnect is how long a client waits before it resumes a stream, so that clients
// of a listener that drains do not come back many times a second.
const reconnect = time.Second

// Writer writes a Stream to one HTTP answer. It belongs to the goroutine of the
// request.
type Writer struct {
	out    http.ResponseWriter
	rc     *http.ResponseController
	stream *Stream
	events *sse.Writer // nil: nothing has been written
	done   func()
	// observer is told that the answer has become a stream of events.
	observer Observer
}

// NewWriter returns a writer that has written nothing. Close releases it.
func NewWriter(out http.ResponseWriter, st *Stream, observer Observer) *Writer {
	return &Writer{out: out, rc: http.NewResponseController(out), stream: st, observer: observer}
}

// Begin makes an event stream of the answer, unless it is one.
func (w *Writer) Begin() error {
	if w.events != nil {
		return nil
	}
	h := w.out.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache, no-transform")
	h.Set("X-Accel-Buffering", "no")
	w.events = sse.NewWriter(w.out, w.rc.Flush)
	w.done = w.observer.Begun()
	w.roll()
	w.out.WriteHeader(http.StatusOK)
	if id := w.stream.prime(); id != "" {
		return w.events.Event(sse.Event{ID: id, HasID: true, Retry: reconnect, HasRetry: true})
	}
	return w.rc.Flush()
}

// Event writes an event without an id. Begin must have been called.
func (w *Writer) Event(name string, data []byte) error {
	w.roll()
	return w.events.Event(sse.Event{Name: name, Data: data})
}

// Comment writes a comment, which shows that the stream is alive.
func (w *Writer) Comment() error {
	if err := w.Begin(); err != nil {
		return err
	}
	w.roll()
	return w.events.Comment()
}

// Close takes the write deadline away: the connection is used for other
// requests.
func (w *Writer) Close() {
	_ = w.rc.SetWriteDeadline(time.Time{})
	if w.done != nil {
		w.done()
	}
}

// roll moves the write deadline. Writers without deadlines do without.
func (w *Writer) roll() {
	_ = w.rc.SetWriteDeadline(time.Now().Add(WriteTimeout))
}

// piece writes a message as an event.
func (w *Writer) piece(p piece) error {
	w.roll()
	return w.events.Event(sse.Event{Name: "message", ID: p.id, HasID: p.id != "", Data: p.msg})
}

// sign shows that the stream is alive.
func (w *Writer) sign() error {
	if w.events == nil && w.stream.opts.Primes {
		return w.Begin()
	}
	return w.Comment()
}
