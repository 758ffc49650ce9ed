package routes

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/filter"
)

// tunnel is a pair of upgraded connections.
type tunnel struct {
	*exchange
	client    net.Conn
	early     []byte // what the client sent before the tunnel was there
	upstream  io.ReadWriteCloser
	webSocket bool
	down, up  direction

	ended sync.Once
	over  chan struct{}
}

// end closes both connections.
func (t *tunnel) end() {
	t.ended.Do(func() {
		close(t.over)
		t.client.Close()
		t.upstream.Close()
	})
}

// run passes bytes both ways until both directions have ended, one has failed,
// nothing moves for too long, the client's connection has to go, or the
// credentials that opened the tunnel expire.
func (t *tunnel) run() {
	t.watch.replace(func(cause error) {
		t.info.SetFlag(filter.FlagStreamIdleTimeout)
		t.info.SetReason(cause.Error())
		t.end()
	})
	t.down.write, t.up.write = t.writeClient, t.writeUpstream
	if t.webSocket {
		t.down.follow()
		t.up.follow()
	}
	var pumps, end sync.WaitGroup
	pumps.Go(func() { t.pump(&t.down, t.upstream, t.client) })
	pumps.Go(func() { t.pump(&t.up, io.MultiReader(bytes.NewReader(t.early), t.client), t.upstream) })
	if t.conn != nil {
		end.Go(func() {
			why := t.ending(t.over)
			if why == nil {
				return
			}
			t.info.SetFlag(endFlag(why))
			if t.webSocket {
				t.goAway(why)
			}
			t.end()
		})
	}
	pumps.Wait()
	t.end()
	end.Wait()
}

// pump passes one direction on. At its end the other goes on, if the
// connection can be closed by halves; a WebSocket that has lost one direction has
// lost both.
func (t *tunnel) pump(d *direction, src io.Reader, dst io.Writer) {
	buf := t.buffers.Get().(*[copyBuffer]byte)
	defer t.buffers.Put(buf)
	for {
		n, err := src.Read(buf[:])
		if n > 0 {
			t.watch.touch()
			if d.pass(buf[:n]) != nil {
				t.end()
				return
			}
			t.watch.touch()
		}
		if err == nil {
			continue
		}
		half, ok := dst.(interface{ CloseWrite() error })
		if err != io.EOF || t.webSocket || !ok || half.CloseWrite() != nil {
			t.end()
		}
		return
	}
}

func (t *tunnel) writeClient(p []byte) error {
	n, err := t.client.Write(p)
	t.info.AddBytes(int64(n))
	return err
}

func (t *tunnel) writeUpstream(p []byte) error {
	_, err := t.upstream.Write(p)
	return err
}

// goAway ends a WebSocket as RFC 6455 section 7 has it: the client is sent a
// close frame with the status, after a whole message if that ends in time, after a
// whole frame at least; its answer goes on to the upstream, which gets a close
// frame of ours, with 1001, if none comes. Nothing is sent amid a frame.
func (t *tunnel) goAway(why error) {
	status := uint16(statusGoingAway)
	if errors.Is(why, errExpired) {
		status = statusPolicyViolation
	}
	_ = t.client.SetWriteDeadline(time.Now().Add(2 * drainGrace)) // a client that reads nothing must not hold us
	t.down.finish(closeFrame(status, false))
	t.wait(t.down.finished)
	t.down.cut(closeFrame(status, false))
	t.wait(t.up.closed)
	t.up.cut(closeFrame(statusGoingAway, true))
}

// wait waits for drainGrace at most.
func (t *tunnel) wait(done <-chan struct{}) {
	select {
	case <-done:
	case <-time.After(drainGrace):
	case <-t.over:
	}
}

// direction is one half of a tunnel. That of a WebSocket is followed; its lock is held
// while it is written to, so that no frame of ours can come amid one that passes.
type direction struct {
	write    func([]byte) error
	finished chan struct{} // closed when nothing more is passed
	closed   chan struct{} // closed when a close frame has passed

	mu     sync.Mutex
	frames frames
	last   []byte // to be sent after the current message
	over   bool
	seen   bool
}

// follow has the frames of a WebSocket followed.
func (d *direction) follow() { d.finished, d.closed = make(chan struct{}), make(chan struct{}) }

// pass writes p, or of a WebSocket as much of it as belongs to a message that is to be
// the last. What follows is dropped.
func (d *direction) pass(p []byte) error {
	if d.closed == nil {
		return d.write(p)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over {
		return nil
	}
	final := false
	for at := 0; at < len(p) && !final; {
		n := d.frames.next(p[at:])
		if n < 0 {
			break
		}
		at += n
		if final = d.last != nil && d.frames.between(); final {
			p = p[:at]
		}
	}
	if err := d.write(p); err != nil {
		return err
	}
	if d.frames.closed && d.frames.whole() && !d.seen {
		d.seen = true
		close(d.closed)
	}
	if final {
		return d.sendLast()
	}
	return nil
}

// finish has the close frame sent after the current message.
func (d *direction) finish(frame []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = frame
	if d.frames.between() {
		_ = d.sendLast() // a peer that is gone needs no close frame
	}
}

// cut sends the close frame now, unless the direction has ended or is amid a
// frame that the peer does not complete.
func (d *direction) cut(frame []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = frame
	if !d.over && d.frames.whole() {
		_ = d.sendLast() // as above
	}
}

// sendLast ends the direction. After a close frame nothing may be sent, also
// no second one. The caller holds mu.
func (d *direction) sendLast() error {
	if d.over {
		return nil
	}
	d.over = true
	close(d.finished)
	if d.frames.closed {
		return nil
	}
	return d.write(d.last)
}
