package listeners

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/quic-go/quic-go"
	"golang.org/x/time/rate"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
)

// HTTP/3 needs streams of its own towards the client. Where there are none, the
// connection can carry nothing, and must not stay beside all that is counted.
func TestAConnectionThatCannotCarryHTTP3IsClosed(t *testing.T) {
	f := newFixture(t, hello, withHTTP3)
	wait(t, f.bareQUIC(&quic.Config{MaxIncomingUniStreams: -1}).Context().Done(), "end of the connection")
	testkit.Eventually(t, "the place is free again", func() bool { return f.socket.places.open.Load() == 0 && f.server.Stats().Connections == 0 })
}

func TestAHandshakeEndsOnce(t *testing.T) {
	const clients = 60
	f := newFixture(t, hello, withHTTP3)
	for range clients {
		_ = f.bareQUIC(&quic.Config{}).CloseWithError(codeNoError, "")
	}
	testkit.Eventually(t, "all are gone", func() bool { return f.socket.places.open.Load() == 0 && f.server.Stats().Connections == 0 })
	if s, open := f.server.Stats(), f.socket.places.open.Load(); s.Handshakes != 0 || s.Connections != 0 || open != 0 {
		t.Errorf("%d handshakes and %d connections are in progress, with %d places", s.Handshakes, s.Connections, open)
	}
	f.trace.mu.Lock()
	defer f.trace.mu.Unlock()
	if len(f.trace.handshakes) != clients || f.trace.opened != clients {
		t.Errorf("%d handshakes ended, of %d connections opened", len(f.trace.handshakes), f.trace.opened)
	}
}

// CONNECTION_CLOSE would make the client drop what it has not read.
func TestADrainLeavesAnAnswerOverHTTP3TimeToArrive(t *testing.T) {
	const size = 200 << 10
	f := newFixture(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, size)) }, withHTTP3)
	res, err := f.quic(f.clientTLS(nil)).Get(f.url("/"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	f.server.Drain(DrainOptions{Timeout: time.Minute})
	testkit.Eventually(t, "the handler has returned", func() bool { return f.server.handlers.Load() == 0 })
	time.Sleep(2 * time.Second) // the client is slow
	if n, err := io.Copy(io.Discard, res.Body); n != size || err != nil {
		t.Errorf("%d of %d bytes arrived, %v", n, size, err)
	}
	f.server.hurry()
}

// Packets from addresses that are not their senders' take few of the places.
func TestForgedPacketsDoNotKeepClientsOut(t *testing.T) {
	f := newFixture(t, hello, withHTTP3, limits(func(l *Limits) { l.MaxConnections = 50 }))
	f.forge(100)
	testkit.Eventually(t, "some to have come", func() bool { return f.server.Stats().Connections >= 5 })
	res, err := f.client((*http.Protocols).SetHTTP2).Get(f.url("/"))
	if err != nil {
		t.Fatalf("over TCP: %v", err)
	}
	res.Body.Close()
	if res, err = f.quic(f.clientTLS(nil)).Get(f.url("/")); err != nil {
		t.Fatalf("over QUIC: %v", err)
	}
	res.Body.Close()
	if n := f.server.Stats().Connections; n > 5+3 { // they may come at once
		t.Errorf("%d connections are open", n)
	}
}

func TestAClosedServerWaitsForNoForgedHandshake(t *testing.T) {
	f := newFixture(t, hello, withHTTP3, limits(func(l *Limits) { l.HeaderTimeout = time.Minute }))
	f.forge(1)
	testkit.Eventually(t, "it to have come", func() bool { return f.server.Stats().Handshakes == 1 })
	f.server.Close()
	wait(t, f.server.Done(), "end of the server")
	if s := f.server.Stats(); s.Handshakes != 0 || s.Connections != 0 {
		t.Errorf("%+v", s)
	}
}

// A client that was told to prove its address sends its first packet again
// before it knows. The second one must not begin what the first did not.
func TestAddressesAreValidatedForAWhile(t *testing.T) {
	f := newFixture(t, hello, withHTTP3)
	q := &quicSocket{limiter: rate.NewLimiter(1, 2), server: f.server}
	now := time.Now()
	for i, c := range []struct {
		after time.Duration
		want  bool
	}{
		{0, false}, {0, false}, {0, true},
		{1100 * time.Millisecond, true}, // there is room again
		{3 * time.Second, false},
	} {
		if got := q.validates(now.Add(c.after)); got != c.want {
			t.Errorf("packet %d, after %v: %v, want %v", i, c.after, got, c.want)
		}
	}
	q.unproven.Store(1000)
	if !q.validates(now.Add(time.Hour)) {
		t.Error("with many handshakes of unknown clients in progress the next one proves nothing")
	}
}

func TestHTTP3CanBeTurnedOffAndOnAgain(t *testing.T) {
	f := newFixture(t, hello, withHTTP3)
	on, off := f.cfg, f.cfg
	off.Protocols = []string{"http/1.1", "h2"}
	for range 30 {
		f.cfg = off
		f.socket.Serve(f.newServer(hello))
		f.cfg = on
		if _, err := f.socket.BindQUIC(); err != nil {
			t.Fatal(err)
		}
		f.socket.Serve(f.newServer(hello))
	}
}

// A client that opens a WebSocket and thinks better of it leaves nothing behind.
func TestAWebSocketThatIsResetBeforeItOpensIsGivenBack(t *testing.T) {
	accepted := make(chan error)
	f := newFixture(t, func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done() // it was looked up meanwhile, say
		ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err == nil {
			ws.CloseNow()
		}
		accepted <- err
	}, withHTTP3)
	stream := f.connectWebSocket()
	testkit.Eventually(t, "the handler runs", func() bool { return f.server.handlers.Load() == 1 })
	stream.CancelRead(0x10c)
	stream.CancelWrite(0x10c)
	if <-accepted == nil {
		t.Fatal("it was accepted; the test shows nothing")
	}
	testkit.Eventually(t, "the handler is done", func() bool { return f.server.handlers.Load() == 0 })
}

// Nor does one whose handler panics after it has taken the stream over.
func TestAHandlerThatPanicsGivesItsWebSocketBack(t *testing.T) {
	began := make(chan struct{})
	f := newFixture(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}); err != nil {
			t.Error(err)
		}
		close(began)
		panic("on purpose")
	}, withHTTP3)
	f.connectWebSocket()
	wait(t, began, "handler")
	testkit.Eventually(t, "the handler is done", func() bool { return f.server.handlers.Load() == 0 })
}

func TestAPanicIsReportedOverEveryVersionOfHTTP(t *testing.T) {
	var mu sync.Mutex
	var said []string
	f := newFixture(t, hello, withHTTP3)
	trace := f.trace.trace()
	trace.Error = func(_, message string) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, message)
	}
	f.server = NewServer(&f.cfg, f.snapshot(nil), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { panic("on purpose over " + r.Proto) }), trace)
	t.Cleanup(f.server.Close)
	f.socket.Serve(f.server)
	for proto, c := range map[string]*http.Client{
		"HTTP/1.1": f.client((*http.Protocols).SetHTTP1), "HTTP/2.0": f.client((*http.Protocols).SetHTTP2), "HTTP/3.0": f.quic(f.clientTLS(nil)).Client,
	} {
		if res, err := c.Post(f.url("/"), "text/plain", strings.NewReader("x")); err == nil {
			res.Body.Close()
			t.Errorf("%s: %s", proto, res.Status)
		}
		testkit.Eventually(t, "the panic over "+proto+" is told", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return strings.Contains(strings.Join(said, "\n"), "on purpose over "+proto)
		})
	}
}
