package mcp

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
)

// pipes is a listener whose connections are pipes, so that time can be a
// bubble's.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	ended chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), ended: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.ended:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.ended) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return ours, nil
}

// inBubble serves lines over pipes, in a bubble of its own time.
func inBubble(t *testing.T, test func(t *testing.T, hub *Hub, c *http.Client)) {
	synctest.Test(t, func(t *testing.T) {
		set, err := clusters.NewSet(nil, nil, clusters.Options{})
		if err != nil {
			t.Fatal(err)
		}
		hub := NewHub(Options{})
		var cfg Config
		if err := config.Defaults(&cfg); err != nil {
			t.Fatal(err)
		}
		withStreamTransports(&cfg)
		h, err := hub.NewHandler(HandlerConfig{Route: "test", Config: &cfg, Clusters: set})
		if err != nil {
			t.Fatal(err)
		}
		hub.Commit([]*Handler{h})
		l := newPipes()
		srv := &http.Server{Handler: h.Guard(h)}
		go srv.Serve(l)
		tr := &http.Transport{DialContext: l.dial}
		test(t, hub, &http.Client{Transport: tr})
		hub.Close(context.Background())
		tr.CloseIdleConnections()
		srv.Close()
		set.Release()
		if err := set.Wait(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestAnIdleWebSocketIsPingedAndASilentOneEnded(t *testing.T) {
	inBubble(t, func(t *testing.T, hub *Hub, c *http.Client) {
		var pings atomic.Int64
		silent := make(chan struct{})
		ws, _, err := websocket.Dial(context.Background(), "http://gw/ws", &websocket.DialOptions{HTTPClient: c, OnPingReceived: func(context.Context, []byte) bool {
			pings.Add(1)
			select {
			case <-silent:
				return false
			default:
				return true
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer ws.CloseNow()
		ended := ws.CloseRead(context.Background())
		time.Sleep(10*time.Minute + time.Second)
		if n := pings.Load(); n != 40 {
			t.Errorf("%d pings in ten minutes", n)
		}
		close(silent)
		<-ended.Done()
		synctest.Wait()
		if n := hub.Stats()["test"]; n != (Stats{}) {
			t.Errorf("the session of a silent client goes on: %+v", n)
		}
	})
}

func TestAnIdleStreamOfHTTPSSEGetsCommentsUntilItIsGivenUp(t *testing.T) {
	inBubble(t, func(t *testing.T, hub *Hub, c *http.Client) {
		res, err := c.Get("http://gw/sse")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		start := time.Now()
		comments := 0
		lines := bufio.NewScanner(res.Body)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), ":") {
				comments++
			}
		}
		// No client has sent initialize within session_idle.
		if took := time.Since(start); took < 30*time.Minute || took > 31*time.Minute || comments != int(took/eventstream.Keepalive) {
			t.Errorf("%d comments in %v", comments, took)
		}
		synctest.Wait()
		if n := hub.Stats()["test"]; n != (Stats{}) {
			t.Errorf("the session goes on: %+v", n)
		}
	})
}
