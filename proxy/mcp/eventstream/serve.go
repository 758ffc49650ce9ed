package eventstream

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/filter"
)

// End says why a reader has ended.
type End int

const (
	// Gone: the client went away.
	Gone End = iota
	// Ended: the stream was ended, or has another reader.
	Ended
	// Answered: the answer is written.
	Answered
	// Drained: the connection must end.
	Drained
	// Expired: the credentials of the request have expired.
	Expired
)

// Serving is what Serve needs to know of the request.
type Serving struct {
	// AtOnce: an event stream is begun before there is something to say.
	AtOnce bool
	// Ending is closed when the connection must end; nil: never.
	Ending <-chan struct{}
	// Expiry is when the credentials of the request expire; zero is never.
	Expiry time.Time
	// Last, if not nil, makes the answer of a stream that must end before there
	// is one.
	Last func() []byte
	// Observer is told what becomes of the answer.
	Observer Observer
}

// Observer is told what becomes of an HTTP answer.
type Observer interface {
	// Begun is called when the answer becomes a stream of events, and the
	// function that it returns when that ends.
	Begun() (done func())
	// Interrupted is called before the answer of a stream that must end is made:
	// with Gone, Drained or Expired.
	Interrupted(End)
}

// Serve writes what is queued until the answer is written, the stream is
// ended, the client goes, the connection must end, or, where the stream may not
// outlive them, the credentials of the request expire. It runs on the goroutine
// of the request, and ends r.
//
// Nothing is written before there is something to say, unless AtOnce is set:
// an answer that comes first is plain JSON, and only a message before it makes
// an event stream of it.
func Serve(ctx context.Context, w http.ResponseWriter, r Reader, s Serving) {
	defer r.Leave()
	st := r.stream
	out := NewWriter(w, st, s.Observer)
	defer out.Close()
	if s.AtOnce && out.Begin() != nil {
		return
	}
	expiry := st.expiry(s.Expiry)
	// One timer serves both: a second one would make each call slower.
	tick := time.NewTimer(soonest(st.patience(), expiry))
	defer tick.Stop()
	ended := false
	end := func(why End) {
		s.Observer.Interrupted(why)
		if ended = s.Last == nil || st.polled(); !ended {
			st.Finish(http.StatusOK, s.Last())
		}
	}
	for {
		select {
		case <-r.ready:
		case now := <-tick.C:
			if !expiry.IsZero() && !now.Before(expiry) {
				expiry = time.Time{}
				end(Expired)
				break
			}
			tick.Reset(soonest(Keepalive, expiry))
			if (st.opts.Eager || out.events != nil) && out.sign() != nil {
				return
			}
		case <-r.stop:
			return
		case <-s.Ending:
			s.Ending = nil
			end(Drained)
		case <-ctx.Done():
			s.Observer.Interrupted(Gone)
			return
		}
		if out.drain(r) {
			return
		}
		if ended {
			// The client comes back, over another connection, for what is still
			// to come: it needs an id to come back with.
			if s.Last != nil {
				_ = out.Begin()
			}
			return
		}
	}
}

// patience is how long the reader waits for something to write before it
// shows that the stream is alive.
func (st *Stream) patience() time.Duration {
	if st.opts.Primes {
		return primeAfter
	}
	return Keepalive
}

// expiry returns when a stream ends with the credentials of the request that
// opened it; zero is never. Only a client that comes back with new ones for the
// rest can be ended so: the answer of a call that was allowed when it came is
// lost otherwise, and a connection error is told in its place.
func (st *Stream) expiry(credentials time.Time) time.Time {
	if st.opts.Kind == Call && !st.polled() {
		return time.Time{}
	}
	return credentials
}

// soonest is the time until at, or wait if that is shorter or at is zero.
func soonest(wait time.Duration, at time.Time) time.Duration {
	if at.IsZero() {
		return wait
	}
	return min(wait, max(0, time.Until(at)))
}

// drain writes what there is. It reports whether that was all.
func (w *Writer) drain(r Reader) (done bool) {
	for {
		p, ok := r.next(w.events != nil)
		switch {
		case !ok:
			return false
		case p.begin:
			if w.Begin() != nil {
				return true
			}
		case p.last && p.msg == nil:
			return true
		case w.events == nil:
			w.roll()
			WriteJSON(w.out, p.status, p.msg)
			_ = w.rc.Flush()
			return true
		default:
			if w.piece(p) != nil && !p.last {
				r.putBack(p.msg)
				return true
			}
			if p.last {
				return true // the client is gone, or has it
			}
		}
	}
}

// WriteJSON writes an answer that comes alone.
func WriteJSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Content-Type-Options", "nosniff")
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", filter.RetryAfter)
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone needs no answer
}
