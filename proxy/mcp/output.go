package mcp

import (
	"net/http"
	"time"

	"github.com/mcpgateway/mcpgateway/listeners"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/sse"
)

// output is the HTTP answer that a stream is written to.
type output struct {
	w      http.ResponseWriter
	rc     *http.ResponseController
	begun  func() (done func())
	events *sse.Writer // nil: nothing has been written
	done   func()
}

// serve writes what is queued on st until the answer is written, the stream is
// ended, the client goes, or the connection must end. It is called once, on
// the goroutine of the request.
//
// Nothing is written before there is something to say, unless atOnce is set:
// an answer that comes first is plain JSON, and only a message before it makes
// an event stream of it. last, if not nil, makes the answer of a stream that
// must end before there is one.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, st *stream, atOnce bool, last func() []byte) {
	defer st.end()
	conn := listeners.FromContext(r.Context())
	var ending <-chan struct{}
	if conn != nil {
		ending = conn.Ending()
	}
	out := output{w: w, rc: http.NewResponseController(w), begun: func() func() {
		return h.hub.streamBegun(h.Route, conn)
	}}
	defer out.close()
	if atOnce && out.begin() != nil {
		return
	}
	tick := time.NewTicker(keepalive)
	defer tick.Stop()
	for {
		select {
		case <-st.ready:
		case <-tick.C:
			if (st.eager || out.events != nil) && out.comment() != nil {
				return
			}
		case <-st.stop:
			return
		case <-ending:
			filter.RecordFrom(r.Context()).SetFlag(filter.FlagDrained)
			if last == nil {
				return
			}
			st.finish(http.StatusOK, last())
			ending = nil
		case <-r.Context().Done():
			filter.RecordFrom(r.Context()).SetFlag(filter.FlagDownstreamConnectionTermination)
			return
		}
		queue, status, answer := st.take()
		for i, msg := range queue {
			if out.event(msg) != nil {
				st.unread(queue[i:])
				return
			}
		}
		if answer != nil {
			out.last(status, answer)
			return
		}
	}
}

// begin makes an event stream of the answer.
func (o *output) begin() error {
	if o.events != nil {
		return nil
	}
	h := o.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache, no-transform")
	h.Set("X-Accel-Buffering", "no")
	o.events = sse.NewWriter(o.w, o.rc.Flush)
	o.done = o.begun()
	o.roll()
	o.w.WriteHeader(http.StatusOK)
	return o.rc.Flush()
}

// roll moves the write deadline. Writers without deadlines do without.
func (o *output) roll() {
	_ = o.rc.SetWriteDeadline(time.Now().Add(writeTimeout))
}

func (o *output) event(msg []byte) error {
	if err := o.begin(); err != nil {
		return err
	}
	o.roll()
	return o.events.Event(sse.Event{Name: "message", Data: msg})
}

func (o *output) comment() error {
	if err := o.begin(); err != nil {
		return err
	}
	o.roll()
	return o.events.Comment("")
}

// last writes the answer in the form that this output has by now.
func (o *output) last(status int, answer []byte) {
	if o.events != nil {
		_ = o.event(answer) // the client is gone, or has it
		return
	}
	o.roll()
	writeJSON(o.w, status, answer)
	_ = o.rc.Flush()
}

// close takes the deadline away: the connection is used for other requests.
func (o *output) close() {
	_ = o.rc.SetWriteDeadline(time.Time{})
	if o.done != nil {
		o.done()
	}
}
