package session

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
)

// outlets are the streams on which a session's client hears what belongs to no
// call, and what it has yet to be told on one. Where a client has several, each
// message goes to exactly one, the newest first.
//
// The lock is taken before that of a stream, and after that of a slot.
type outlets struct {
	store *eventstream.Store
	// deaf: the client can hear nothing beyond the answer of a single call.
	deaf bool
	// subscription is what the only stream was opened for; nil: for everything.
	// It is not changed, but replaced.
	subscription atomic.Pointer[subscription]

	mu      sync.Mutex
	closed  bool
	streams []*eventstream.Stream // of GETs, the newest last
	added   chan struct{}         // closed when there is a new one
	// listened: there has been one. Between two of them missed is kept.
	listened bool
	missed   backlog
	due      changes
	timer    *time.Timer
	pending  bool // the timer will tell what is due
}

// listen adds the stream of a GET, in which nothing is kept yet. It reports
// false when there are too many.
func (o *outlets) listen(st *eventstream.Stream, limit int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || len(o.streams) >= limit {
		return false
	}
	o.addLocked(st)
	return true
}

// resume gives the stream of an event a new reader.
func (o *outlets) resume(id string, limit int) (eventstream.Reader, error) {
	st, pos, err := o.store.Find(id)
	if err != nil {
		return eventstream.Reader{}, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	begins := st.Standing() && !slices.Contains(o.streams, st)
	if begins && len(o.streams) >= limit {
		return eventstream.Reader{}, errStreams
	}
	reader, err := st.Resume(pos)
	if err == nil && begins {
		o.addLocked(st)
	}
	return reader, err
}

func (o *outlets) addLocked(st *eventstream.Stream) {
	o.streams = append(o.streams, st)
	close(o.added)
	o.added = make(chan struct{})
	o.listened = true
	for _, n := range o.missed.take() {
		st.Send(n.msg)
	}
	o.armLocked()
}

// unlisten removes a stream after its reader, unless there is a new one.
func (o *outlets) unlisten(r eventstream.Reader) {
	o.mu.Lock()
	if r.Last() {
		o.streams = slices.DeleteFunc(o.streams, func(other *eventstream.Stream) bool { return other == r.Stream() })
	}
	o.mu.Unlock()
	o.rescue(r)
}

// rescue ends a reader. What its stream was given, and neither wrote nor
// keeps, goes elsewhere.
func (o *outlets) rescue(r eventstream.Reader) {
	r.Leave()
	for _, msg := range r.Unread() {
		o.tell(msg, nil)
	}
}

// listening reports whether the client has such a stream.
func (o *outlets) listening() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.streams) > 0
}

// next returns what is closed when the client has one more.
func (o *outlets) next() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.added
}

// close ends the streams after a whole event. No more are taken.
func (o *outlets) close() {
	o.mu.Lock()
	o.closed = true
	streams := slices.Clone(o.streams) // they leave the list while they are ended
	if o.timer != nil {
		o.timer.Stop()
	}
	o.mu.Unlock()
	o.store.Close()
	for _, st := range streams {
		if sub := o.subscription.Load(); sub != nil {
			sub.close(st)
		} else {
			st.End()
		}
	}
}

// tell delivers a message, or keeps it for the next stream of a client that
// has had one: it is about to open another. The oldest are given up first.
func (o *outlets) tell(msg []byte, call eventstream.Outlet) {
	if call != nil && call.Send(msg) {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.deliverLocked(msg) && o.listened && !o.closed {
		o.missLocked(notice{msg: msg})
	}
}

// deliver puts a message on exactly one stream: the call's, if there is one
// and the client takes streams, else the newest GET's. It reports whether one
// took it.
func (o *outlets) deliver(msg []byte, call eventstream.Outlet) bool {
	if call != nil && call.Send(msg) {
		return true
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.deliverLocked(msg)
}

func (o *outlets) deliverLocked(msg []byte) bool {
	for _, st := range slices.Backward(o.streams) {
		if st.Send(msg) {
			return true
		}
	}
	return false
}

// missLocked keeps a message for the client's next stream. Of those that are given up
// for it, a changed list is told all the same, though later.
func (o *outlets) missLocked(n notice) {
	for _, given := range o.missed.add(n) {
		if given.list != "" {
			o.due.add(notice{list: given.list})
		}
	}
}
