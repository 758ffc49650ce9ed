package routes

import (
	"bytes"
	"io"
	"net"
	"sync"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/filter"
)

// tunnel is a pair of upgraded connections.
type tunnel struct {
	*exchange
	client   net.Conn
	early    []byte // what the client sent before the tunnel was there
	upstream io.ReadWriteCloser
	frames   *framed // nil unless it is a WebSocket

	ended sync.Once
	over  chan struct{}
}

func newTunnel(x *exchange, client net.Conn, early []byte, upstream io.ReadWriteCloser) *tunnel {
	return &tunnel{exchange: x, client: client, early: early, upstream: upstream, over: make(chan struct{})}
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
	var pumps, end sync.WaitGroup
	pumps.Go(func() { t.pump(t.toClient, t.upstream, t.client) })
	pumps.Go(func() { t.pump(t.toUpstream, io.MultiReader(bytes.NewReader(t.early), t.client), t.upstream) })
	if t.conn != nil {
		expired, stop := filter.ExpiryTimer(filter.PrincipalFrom(t.r.Context()).ExpiresAt)
		defer stop()
		end.Go(func() {
			select {
			case <-t.over:
				return
			case <-t.conn.Ending():
				t.info.SetFlag(filter.FlagDrained)
				t.goAway(statusGoingAway)
			case <-expired:
				t.info.SetFlag(filter.FlagUnauthorized)
				t.goAway(statusPolicyViolation)
			}
			t.end()
		})
	}
	pumps.Wait()
	t.end()
	end.Wait()
}

// pump passes one direction on. At its end the other goes on, if the
// connection can be closed by halves; a WebSocket that lost one has lost both.
func (t *tunnel) pump(pass func([]byte) error, src io.Reader, dst io.Writer) {
	buf := t.buffers.Get().(*[copyBuffer]byte)
	defer t.buffers.Put(buf)
	for {
		n, err := src.Read(buf[:])
		if n > 0 {
			t.watch.touch()
			if pass(buf[:n]) != nil {
				t.end()
				return
			}
			t.watch.touch()
		}
		if err == nil {
			continue
		}
		half, ok := dst.(interface{ CloseWrite() error })
		if err != io.EOF || t.frames != nil || !ok || half.CloseWrite() != nil {
			t.end()
		}
		return
	}
}

func (t *tunnel) toClient(p []byte) error {
	if t.frames != nil {
		return t.frames.down.pass(p, t.writeClient)
	}
	return t.writeClient(p)
}

func (t *tunnel) writeClient(p []byte) error {
	n, err := t.client.Write(p)
	t.info.AddBytes(int64(n))
	return err
}

func (t *tunnel) toUpstream(p []byte) error {
	if t.frames != nil {
		return t.frames.up.pass(p, t.writeUpstream)
	}
	return t.writeUpstream(p)
}

func (t *tunnel) writeUpstream(p []byte) error {
	_, err := t.upstream.Write(p)
	return err
}

// goAway ends a WebSocket as RFC 6455 section 7 has it: the client is sent a
// close frame with the status, after a whole message if that ends in time, after a
// whole frame at least; its answer goes on to the upstream, which gets a close
// frame of ours, with 1001, if none comes. Nothing is sent amid a frame.
func (t *tunnel) goAway(status uint16) {
	if t.frames == nil {
		return
	}
	down, up := &t.frames.down, &t.frames.up
	_ = t.client.SetWriteDeadline(time.Now().Add(2 * drainGrace)) // a client that reads nothing must not hold us
	down.finish(closeFrame(status, false), t.writeClient)
	t.wait(down.finished)
	down.cut(closeFrame(status, false), t.writeClient)
	t.wait(up.closed)
	up.cut(closeFrame(statusGoingAway, true), t.writeUpstream)
}

// wait waits for drainGrace at most.
func (t *tunnel) wait(done <-chan struct{}) {
	select {
	case <-done:
	case <-time.After(drainGrace):
	case <-t.over:
	}
}

// framed follows both directions of a WebSocket.
type framed struct{ down, up direction }

func newFramed() *framed {
	f := &framed{}
	f.down.finished, f.down.closed = make(chan struct{}), make(chan struct{})
	f.up.finished, f.up.closed = make(chan struct{}), make(chan struct{})
	return f
}

// direction is one half of a WebSocket. Its lock is held while it is written
// to, so that no frame of ours can come amid one that passes.
type direction struct {
	finished chan struct{} // closed when nothing more is passed
	closed   chan struct{} // closed when a close frame has passed

	mu     sync.Mutex
	frames frames
	last   []byte // to be sent after the current message
	over   bool
	seen   bool
}

// pass writes p, or as much of it as belongs to a message that is to be the
// last. What follows is dropped.
func (d *direction) pass(p []byte, write func([]byte) error) error {
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
	if err := write(p); err != nil {
		return err
	}
	if d.frames.closed && d.frames.whole() && !d.seen {
		d.seen = true
		close(d.closed)
	}
	if final {
		return d.sendLast(write)
	}
	return nil
}

// finish has the close frame sent after the current message.
func (d *direction) finish(frame []byte, write func([]byte) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = frame
	if d.frames.between() {
		_ = d.sendLast(write) // a peer that is gone needs no close frame
	}
}

// cut sends the close frame now, unless the direction has ended or is amid a
// frame that the peer does not complete.
func (d *direction) cut(frame []byte, write func([]byte) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = frame
	if !d.over && d.frames.whole() {
		_ = d.sendLast(write) // as above
	}
}

// sendLast ends the direction. After a close frame nothing may be sent, also
// no second one. The caller holds mu.
func (d *direction) sendLast(write func([]byte) error) error {
	if d.over {
		return nil
	}
	d.over = true
	close(d.finished)
	if d.frames.closed {
		return nil
	}
	return write(d.last)
}
