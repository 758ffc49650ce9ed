package transport

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// asked is a connection on which a request has just been given up.
func asked(t *testing.T) (*trackedConn, net.Conn) {
	t.Helper()
	p := &Pool{dialer: dialer{Connector: &Connector{}}}
	p.current = newConnectionSet(p)
	near, far := net.Pipe()
	c := &trackedConn{Conn: near, set: p.current, http2: true}
	c.set.track(c)
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
		if c.set.pool.current != c.set || c.set.ctx.Err() != nil {
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
		x := &exchange{set: c.set}
		x.interrupt.begin(t.Context(), new(httptrace.ClientTrace))
		x.carrier.Store(c)
		c.set.join(x)
		time.Sleep(maxPingWait + time.Millisecond)
		synctest.Wait()
		if c.set.pool.current != nil {
			t.Error("new requests go to a connection that did not answer in time")
		}
		_, _ = far.Write([]byte("ack"))
		time.Sleep(time.Minute)
		if x.wasEnded() != nil || c.set.ctx.Err() != nil {
			t.Error("a request on a connection that lives was ended")
		}
	})
}

// After an answered PING net/http sends none before the next response header.
func TestWithoutAPingSilenceEndsNoRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &Pool{dialer: dialer{Connector: &Connector{}}}
		p.current = newConnectionSet(p)
		near, far := net.Pipe()
		defer far.Close()
		c := &trackedConn{Conn: near, set: p.current, http2: true}
		defer c.Close()
		x := &exchange{set: c.set}
		x.interrupt.begin(t.Context(), new(httptrace.ClientTrace))
		x.carrier.Store(c)
		c.set.join(x)
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

// headerOnly answers the request on a connection with a header, and then no more,
// but for PING where it lives.
func headerOnly(c net.Conn, lives bool) {
	f := http2.NewFramer(c, c)
	answers := make(chan func() error, 100) // a pipe has no room: what is written waits for its reader
	defer close(answers)
	go func() {
		for answer := range answers {
			_ = answer()
		}
	}()
	answers <- func() error { return f.WriteSettings() }
	if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		switch frame := frame.(type) {
		case *http2.HeadersFrame:
			var block strings.Builder
			_ = hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
			header := http2.HeadersFrameParam{StreamID: frame.StreamID, BlockFragment: []byte(block.String()), EndHeaders: true}
			answers <- func() error { return f.WriteHeaders(header) }
		case *http2.PingFrame:
			if data := frame.Data; lives && !frame.IsAck() {
				answers <- func() error { return f.WritePing(true, data) }
			}
		}
	}
}

// No other request asks whether the connection lives.
func TestAStreamOnASilentConnectionEnds(t *testing.T) {
	for name, lives := range map[string]bool{"dead": false, "alive": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &Pool{dialer: dialer{Connector: &Connector{settings: Settings{Protocols: []string{"h2"}}}}}
				p.current = newConnectionSet(p)
				defer p.Close()
				transport := p.current.short.choose(0).(*lane).Transport
				defer transport.CloseIdleConnections()
				near, far := net.Pipe()
				defer far.Close()
				go headerOnly(far, lives)
				transport.DialContext = func(context.Context, string, string) (net.Conn, error) { return near, nil }
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://server/", nil)
				if err != nil {
					t.Fatal(err)
				}
				res, err := transport.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				if _, err := io.ReadAll(res.Body); err == nil || (ctx.Err() != nil) != lives {
					t.Errorf("%v, the context: %v", err, ctx.Err())
				}
			})
		})
	}
}
