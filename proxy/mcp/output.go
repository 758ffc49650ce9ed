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
	stream *stream
	begun  func() (done func())
	events *sse.Writer // nil: nothing has been written
	done   func()
}

// serve writes what is queued on st until the answer is written, the stream is
// ended, the client goes, the connection must end, or, where the stream may not
// outlive them, the credentials of the request expire. It runs on the goroutine
// of the request.
//
// Nothing is written before there is something to say, unless atOnce is set:
// an answer that comes first is plain JSON, and only a message before it makes
// an event stream of it. last, if not nil, makes the answer of a stream that
// must end before there is one.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, st *stream, atOnce bool, last func() []byte) {
	ready, stop := st.reader()
	defer st.leave(stop)
	conn := listeners.FromContext(r.Context())
	var ending <-chan struct{}
	if conn != nil {
		ending = conn.Ending()
	}
	out := output{w: w, rc: http.NewResponseController(w), stream: st, begun: func() func() {
		return h.hub.streamBegun(h.route.Name, conn)
	}}
	defer out.close()
	if atOnce && out.begin() != nil {
		return
	}
	expiry := st.expiry(r)
	// One timer serves both: a timer more for each call would cost it.
	tick := time.NewTimer(soonest(st.patience(), expiry))
	defer tick.Stop()
	ended := false
	end := func(flag filter.Flag) {
		filter.RecordFrom(r.Context()).SetFlag(flag)
		if ended = last == nil || st.polled(); !ended {
			st.finish(http.StatusOK, last())
		}
	}
	for {
		select {
		case <-ready:
		case now := <-tick.C:
			if !expiry.IsZero() && !now.Before(expiry) {
				expiry = time.Time{}
				end(filter.FlagUnauthorized)
				break
			}
			tick.Reset(soonest(keepalive, expiry))
			if (st.eager || out.events != nil) && out.sign() != nil {
				return
			}
		case <-stop:
			return
		case <-ending:
			ending = nil
			end(filter.FlagDrained)
		case <-r.Context().Done():
			filter.RecordFrom(r.Context()).SetFlag(filter.FlagDownstreamConnectionTermination)
			return
		}
		if out.write(st, stop) {
			return
		}
		if ended {
			// The client comes back, over another connection, for what is still
			// to come: it needs an id to come back with.
			if last != nil {
				_ = out.begin()
			}
			return
		}
	}
}

// expiry returns when a stream ends with the credentials of the request that
// opened it; zero is never. Only a client that comes back with new ones for the
// rest can be ended so: the answer of a call that was allowed when it came is
// lost otherwise, and a connection error is told in its place.
func (st *stream) expiry(r *http.Request) time.Time {
	if !st.standing && !st.subscribed && !st.polled() {
		return time.Time{}
	}
	return filter.PrincipalFrom(r.Context()).ExpiresAt
}

// soonest is the time until at, or wait if that is shorter or at is zero.
func soonest(wait time.Duration, at time.Time) time.Duration {
	if at.IsZero() {
		return wait
	}
	return min(wait, max(0, time.Until(at)))
}

// write writes what there is. It reports whether that was all.
func (o *output) write(st *stream, stop chan struct{}) (done bool) {
	for {
		p, ok := st.next(stop, o.events != nil)
		switch {
		case !ok:
			return false
		case p.begin:
			if o.begin() != nil {
				return true
			}
		case p.last && p.msg == nil:
			return true
		case o.events == nil:
			o.plain(p.status, p.msg)
			return true
		default:
			if o.event(p) != nil && !p.last {
				st.unread(p.msg)
				return true
			}
			if p.last {
				return true // the client is gone, or has it
			}
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
	if id := o.stream.prime(); id != "" {
		return o.events.Event(sse.Event{ID: id, HasID: true, Retry: reconnect, HasRetry: true})
	}
	return o.rc.Flush()
}

// roll moves the write deadline. Writers without deadlines do without.
func (o *output) roll() {
	_ = o.rc.SetWriteDeadline(time.Now().Add(writeTimeout))
}

func (o *output) event(p piece) error {
	o.roll()
	return o.events.Event(sse.Event{Name: "message", ID: p.id, HasID: p.id != "", Data: p.msg})
}

// sign shows that the stream is alive.
func (o *output) sign() error {
	if o.events == nil && o.stream.primes {
		return o.begin()
	}
	return o.comment()
}

func (o *output) comment() error {
	if err := o.begin(); err != nil {
		return err
	}
	o.roll()
	return o.events.Comment("")
}

// plain writes the answer that comes alone.
func (o *output) plain(status int, answer []byte) {
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
