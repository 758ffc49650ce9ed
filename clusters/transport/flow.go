package transport

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// shortBody is the longest body, in bytes, that every server takes without
	// its handler reading any of it: the room that a stream and a connection of
	// HTTP/2 begin with (RFC 9113, section 6.9.2).
	shortBody = 64 << 10
	// stuckAfter is how long a connection may take to send a piece of a body. It
	// has to be longer than a round trip, in which a server grants room.
	stuckAfter = 500 * time.Millisecond
)

// long reports whether a request has a body that can fill the room which a
// server has for all bodies of a connection of HTTP/2 or 3. A server that does
// not read it stops every other body on the connection then.
func long(req *http.Request) bool {
	return req.Body != nil && req.Body != http.NoBody && (req.ContentLength <= 0 || req.ContentLength > shortBody)
}

// short is the length of a request's body in bytes, unless that is long.
func short(req *http.Request) int64 {
	if long(req) || req.ContentLength < 0 {
		return 0
	}
	return req.ContentLength
}

// crowd counts the bodies of a connection that stop others, or may do so. New
// requests go to connections without long bodies that are stuck.
type crowd struct {
	stuck atomic.Int64
	// unanswered is the length, in bytes, of all short bodies, and of the long ones
	// that were sent whole, whose response header has not come. The server may have
	// read none of them.
	unanswered atomic.Int64
}

// join counts a short body of n bytes, until leave, and reports whether every
// server takes it beside the others. A long one, for which n is 0, goes where the
// others leave it as much room.
func (c *crowd) join(n int64) bool {
	if c.unanswered.Add(n) <= shortBody {
		return true
	}
	c.unanswered.Add(-n)
	return false
}

func (c *crowd) leave(n int64) { c.unanswered.Add(-n) }

// flow is a long body on its way to a server. Where nothing is read from it,
// although there is something to send, it is stuck.
type flow struct {
	io.ReadCloser
	crowd *crowd

	mu       sync.Mutex
	timer    *time.Timer
	length   int64 // of what was read
	unread   int64 // among the unanswered of the crowd
	sends    bool  // something was read, and neither the next read nor sent has come
	counts   bool  // among the stuck of the crowd
	answered bool
	over     bool
}

func newFlow(body io.ReadCloser, c *crowd) *flow { return &flow{ReadCloser: body, crowd: c} }

func (f *flow) Read(p []byte) (int, error) {
	f.sending(false, 0)
	n, err := f.ReadCloser.Read(p)
	// The last piece comes with the end of the body, or is sent after it: net/http
	// looks for the end before it sends what should be the last piece.
	f.sending(err == nil || errors.Is(err, io.EOF), n)
	return n, err
}

func (f *flow) sending(on bool, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.length += int64(n)
	switch f.sends = on && !f.over; {
	case !f.sends:
		f.moves()
	case f.timer == nil:
		f.timer = time.AfterFunc(stuckAfter, f.stick)
	default:
		f.timer.Reset(stuckAfter)
	}
}

// moves is called when the body is not stuck, with mu held.
func (f *flow) moves() {
	if f.timer != nil {
		f.timer.Stop()
	}
	if f.counts {
		f.counts = false
		f.crowd.stuck.Add(-1)
	}
}

func (f *flow) stick() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sends && !f.counts {
		f.counts = true
		f.crowd.stuck.Add(1)
	}
}

// sent is called when all of the body is on its way. Until the answer comes, the
// server may have read none of it.
func (f *flow) sent() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over {
		return
	}
	f.sends, f.over = false, true
	f.moves()
	if !f.answered {
		f.unread = f.length
		f.crowd.unanswered.Add(f.unread)
	}
}

// answer is called when the response header has come. There is nothing to do when
// f is nil, here and in end.
func (f *flow) answer() {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answered = true
	f.crowd.leave(f.unread)
	f.unread = 0
}

// end is called when the request is over, or has a connection for itself.
func (f *flow) end() {
	if f == nil {
		return
	}
	f.answer()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sends, f.over = false, true
	f.moves()
}

// Close is called when the body is sent or given up.
func (f *flow) Close() error {
	f.sent()
	return f.ReadCloser.Close()
}
