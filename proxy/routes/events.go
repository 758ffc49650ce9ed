package routes

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/filter"
)

// errDrained: the stream was ended between two events, or two frames, because
// its connection has to go.
var errDrained = errors.New("the connection drains")

// errExpired: the stream was ended likewise, because the credentials that it was
// opened with have expired.
var errExpired = errors.New("the credentials have expired")

// drainGrace is how long a stream that must end may take to finish the event
// or message that it is in the middle of.
const drainGrace = time.Second

// eventEnds finds the ends of server-sent events: blank lines, where a line
// ends with CR, LF or both (WHATWG HTML section 9.2.5). The zero value is at
// the beginning of a stream.
type eventEnds struct {
	text bool // something stands on the current line
	open bool // the current event has lines
	cr   bool // the last byte was a CR
}

// whole reports whether the last event has ended.
func (e *eventEnds) whole() bool { return !e.text && !e.open }

// next reads p up to the first end of an event, and returns how many bytes
// that was; -1 when p ends before.
func (e *eventEnds) next(p []byte) int {
	for i, c := range p {
		switch {
		case c == '\n' && e.cr:
			// The second half of a line end that was counted already.
			e.cr = false
			if e.whole() {
				return i + 1
			}
		case c == '\n' || c == '\r':
			e.cr = c == '\r'
			if e.text {
				e.text, e.open = false, true
				continue
			}
			e.open = false
			// A LF that follows belongs to this end.
			if !e.cr || i+1 == len(p) || p[i+1] != '\n' {
				return i + 1
			}
		default:
			e.text, e.cr = true, false
		}
	}
	return -1
}

// skip reads all of p.
func (e *eventEnds) skip(p []byte) {
	for len(p) > 0 {
		n := e.next(p)
		if n < 0 {
			return
		}
		p = p[n:]
	}
}

// copyEvents passes a stream of server-sent events on. When the connection has
// to go, or the credentials that opened the stream expire, it ends after a whole
// event, cleanly: clients reconnect on their own.
func (x *exchange) copyEvents(resp *http.Response) {
	if x.conn == nil {
		x.copyBody(resp)
		return
	}
	defer x.conn.Stream()()
	var (
		mu    sync.Mutex
		ends  eventEnds
		cause error // why the stream must end
		done  = make(chan struct{})
	)
	defer close(done)
	go func() {
		why := x.ending(done)
		if why == nil {
			return
		}
		mu.Lock()
		cause = why
		whole := ends.whole()
		mu.Unlock()
		if !whole {
			select {
			case <-done:
				return
			case <-time.After(drainGrace):
			}
		}
		x.cancel(why)
	}()

	x.flush()
	buf := x.buffers.Get().(*[copyBuffer]byte)
	defer x.buffers.Put(buf)
	for {
		n, err := resp.Body.Read(buf[:])
		mu.Lock()
		p, last := buf[:n], false
		why := cause
		if why != nil {
			if end := ends.next(p); end >= 0 {
				p, last = p[:end], true
			}
		} else {
			ends.skip(p)
		}
		whole := ends.whole()
		mu.Unlock()
		if len(p) > 0 {
			x.write(p)
			x.flush()
		}
		switch {
		case last, err != nil && whole && why != nil && x.endedBy(why):
			x.info.SetFlag(endFlag(why))
			return
		case err == io.EOF:
			return
		case err != nil:
			x.abortRead(err)
		}
	}
}

// ending waits until a stream must end, and returns why; nil once it is done.
func (x *exchange) ending(done <-chan struct{}) error {
	expired, stop := filter.ExpiryTimer(filter.PrincipalFrom(x.r.Context()).ExpiresAt)
	defer stop()
	select {
	case <-done:
		return nil
	case <-x.conn.Ending():
		return errDrained
	case <-expired:
		return errExpired
	}
}

// endFlag is the flag of a stream that was ended for that reason.
func endFlag(why error) filter.Flag {
	if errors.Is(why, errExpired) {
		return filter.FlagUnauthorized
	}
	return filter.FlagDrained
}
