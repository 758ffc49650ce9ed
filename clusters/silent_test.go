package clusters

import (
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// asked is a connection on which a request has just been given up.
func asked(t *testing.T) (*trackedConn, net.Conn) {
	t.Helper()
	p := &pool{dialer: &dialer{connector: &connector{settings: &Config{}}}}
	p.current = newEpoch(p)
	near, far := net.Pipe()
	c := &trackedConn{Conn: near, epoch: p.current, http2: true}
	c.epoch.track(c)
	go func() { _, _ = io.Copy(io.Discard, c) }()
	t.Cleanup(func() { c.Close(); far.Close() })
	c.question(0)
	return c, far
}

func TestAConnectionWhosePingIsAnsweredStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, far := asked(t)
		defer c.Close()
		time.Sleep(maxPingWait / 2)
		_, _ = far.Write([]byte("ack"))
		time.Sleep(time.Minute)
		synctest.Wait()
		if c.epoch.pool.current != c.epoch || c.epoch.ctx.Err() != nil {
			t.Error("a server that is slow, but answers PING, has lost its connection")
		}
		if !c.silence.quiet.Load() || c.silence.asked.Load() {
			t.Error("the answer was not noticed")
		}
	})
}

func TestAnAnswerThatComesLateSavesWhatIsOnTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, far := asked(t)
		x := &exchange{epoch: c.epoch}
		x.ctx, x.cancel = context.WithCancelCause(t.Context())
		x.carrier.Store(c)
		c.epoch.join(x)
		time.Sleep(maxPingWait + time.Millisecond)
		synctest.Wait()
		if c.epoch.pool.current != nil {
			t.Error("new requests go to a connection that did not answer in time")
		}
		_, _ = far.Write([]byte("ack"))
		time.Sleep(time.Minute)
		if x.wasEnded() != nil || c.epoch.ctx.Err() != nil {
			t.Error("a request on a connection that lives was ended")
		}
	})
}

// After an answered PING net/http sends none before the next response header.
func TestWithoutAPingSilenceEndsNoRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pool{dialer: &dialer{connector: &connector{settings: &Config{}}}}
		p.current = newEpoch(p)
		near, far := net.Pipe()
		defer far.Close()
		c := &trackedConn{Conn: near, epoch: p.current, http2: true}
		defer c.Close()
		x := &exchange{epoch: c.epoch}
		x.ctx, x.cancel = context.WithCancelCause(t.Context())
		x.carrier.Store(c)
		c.epoch.join(x)
		c.silence.quiet.Store(true)
		c.question(0)
		time.Sleep(time.Minute)
		synctest.Wait()
		if x.wasEnded() != nil {
			t.Errorf("ended with %v", x.wasEnded())
		}
		if p.current != nil {
			t.Error("new requests go to a silent connection")
		}
	})
}
