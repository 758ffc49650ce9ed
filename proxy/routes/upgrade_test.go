package routes

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/mcpgateway/mcpgateway/listeners"
)

// echoSocket is a WebSocket server that sends back what it gets, and reports
// how each connection ended.
func echoSocket(t testing.TB, ended chan<- error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"echo"}, CompressionMode: websocket.CompressionContextTakeover})
		if err != nil {
			t.Errorf("accept: %v", err)
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(1 << 24)
		for {
			kind, data, err := c.Read(context.Background())
			if err == nil {
				err = c.Write(context.Background(), kind, data)
			}
			if err != nil {
				ended <- err
				return
			}
		}
	}
}

func dialSocket(t testing.TB, g *gateway) *websocket.Conn {
	t.Helper()
	c, _, err := websocket.Dial(testContext(t), "ws://"+g.addr+"/ws", &websocket.DialOptions{Subprotocols: []string{"echo"}, CompressionMode: websocket.CompressionContextTakeover})
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { c.CloseNow() })
	c.SetReadLimit(1 << 24)
	return c
}

// testContext bounds what a test waits for.
func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestWebSocketsPass(t *testing.T) {
	ended := make(chan error, 1)
	g := proxied(t, echoSocket(t, ended), "timeout: 50ms", "response_headers: {set: {X-Edited: yes}}")
	c := dialSocket(t, g)
	if c.Subprotocol() != "echo" {
		t.Errorf("subprotocol %q", c.Subprotocol())
	}
	for _, size := range []int{0, 1, 125, 126, 65535, 65536, 1 << 20} {
		want := strings.Repeat("x", size)
		if err := c.Write(testContext(t), websocket.MessageText, []byte(want)); err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if _, got, err := c.Read(testContext(t)); err != nil || string(got) != want {
			t.Fatalf("%d bytes: %d came back, %v", size, len(got), err)
		}
	}
	if n := g.server.Stats().Streams; n != 1 {
		t.Errorf("%d streams are counted", n)
	}
	if err := c.Close(4001, "bye"); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := <-ended; websocket.CloseStatus(err) != 4001 {
		t.Errorf("the server saw %v", err)
	}
	if e := g.entry(); e.Status != 101 || e.Bytes < 125 || e.Flag != "" {
		t.Errorf("access log: %+v", e)
	}
}

func TestADrainingConnectionClosesWebSocketsWith1001(t *testing.T) {
	ended := make(chan error, 1)
	g := proxied(t, echoSocket(t, ended))
	c := dialSocket(t, g)
	if err := c.Write(testContext(t), websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Read(testContext(t)); err != nil {
		t.Fatal(err)
	}
	g.server.Drain(listeners.DrainOptions{})
	if _, _, err := c.Read(testContext(t)); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the client saw %v", err)
	}
	if err := <-ended; websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the server saw %v", err)
	}
	if e := g.entry(); e.Flag != "local_reset" {
		t.Errorf("flag %q", e.Flag)
	}
	<-g.server.Done()
}

// rawSocket upgrades by hand. The upstream half is sent on peers.
func rawSocket(t *testing.T, protocol string, settings ...string) (client net.Conn, r *bufio.Reader, peer net.Conn, g *gateway) {
	t.Helper()
	peers := make(chan net.Conn, 1)
	g = proxied(t, func(w http.ResponseWriter, r *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Errorf("hijack: %v", err)
			return
		}
		fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: %s\r\n\r\n", protocol)
		peers <- c
	}, settings...)
	client = g.dial()
	fmt.Fprintf(client, "GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: %s\r\n\r\nearly", protocol)
	r = bufio.NewReader(client)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != 101 || resp.Header.Get("Upgrade") != protocol {
		t.Fatalf("answer %v, %v", resp, err)
	}
	peer = <-peers
	t.Cleanup(func() { peer.Close() })
	peer.SetDeadline(time.Now().Add(10 * time.Second))
	expect(t, peer, "early")
	return client, r, peer, g
}

func expect(t *testing.T, r io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(r, got); err != nil || string(got) != want {
		t.Fatalf("got %q, %v; want %q", got[:n], err, want)
	}
}

func TestOtherUpgradesPassAsTheyAre(t *testing.T) {
	client, r, peer, _ := rawSocket(t, "chat/2")
	io.WriteString(peer, "down")
	expect(t, r, "down")
	io.WriteString(client, "up")
	expect(t, peer, "up")
	io.WriteString(peer, "the end")
	peer.Close()
	if b, err := io.ReadAll(r); err != nil || string(b) != "the end" {
		t.Errorf("the client got %q, %v", b, err)
	}
}

func TestUpgradesToHTTPAreIgnored(t *testing.T) {
	g := proxied(t, echo)
	for _, protocol := range []string{"h2c", "H2C", "HTTP/2.0", "TLS/1.2", "websocket, h2c"} {
		a := g.get("/", "Connection", "Upgrade", "Upgrade", protocol)
		if a.StatusCode != 200 || a.echoed("Upgrade") != "" || a.echoed("Connection") != "" {
			t.Errorf("%s: %d, Upgrade %q went upstream", protocol, a.StatusCode, a.echoed("Upgrade"))
		}
	}
}

func TestAnUpgradeThatIsRefusedIsAnAnswer(t *testing.T) {
	g := proxied(t, func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", http.StatusForbidden) })
	_, resp, err := websocket.Dial(testContext(t), "ws://"+g.addr+"/", nil)
	if err == nil || resp == nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("%v, %v", resp, err)
	}
}

func TestAnIdleTunnelEnds(t *testing.T) {
	_, r, _, g := rawSocket(t, "websocket", "stream_idle_timeout: 50ms")
	if b, err := io.ReadAll(r); len(b) > 0 || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%q, %v", b, err)
	}
	if e := g.entry(); e.Flag != "stream_idle_timeout" {
		t.Errorf("flag %q", e.Flag)
	}
}

func TestNoWebSocketMessageIsCut(t *testing.T) {
	var sent bytes.Buffer
	write := func(p []byte) error { sent.Write(p); return nil }
	const first, second, lost = "\x01\x03one\x00\x03tw", "o\x89\x02hi\x80\x05three", "\x81\x04lost"
	for size := 1; size <= len(second)+len(lost); size++ {
		sent.Reset()
		d := &direction{write: write}
		d.follow()
		if err := d.pass([]byte(first)); err != nil { // a fragment, and the begin of another
			t.Fatal(err)
		}
		d.finish(closeFrame(statusGoingAway, false))
		for rest := second + lost; rest != ""; {
			n := min(size, len(rest))
			if err := d.pass([]byte(rest[:n])); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		d.cut(closeFrame(statusGoingAway, false))
		if want := first + second + "\x88\x02\x03\xe9"; sent.String() != want {
			t.Errorf("in pieces of %d: %q, want %q", size, sent.String(), want)
		}
		<-d.finished
	}
}

func TestNothingFollowsACloseFrame(t *testing.T) {
	var sent bytes.Buffer
	write := func(p []byte) error { sent.Write(p); return nil }
	d := &direction{write: write}
	d.follow()
	if err := d.pass([]byte("\x88\x02\x03\xe8")); err != nil {
		t.Fatal(err)
	}
	d.finish(closeFrame(statusGoingAway, false))
	if <-d.closed; sent.String() != "\x88\x02\x03\xe8" {
		t.Errorf("%q", sent.String())
	}
}

func TestAMessageWithoutEndIsCutBetweenFrames(t *testing.T) {
	_, r, peer, g := rawSocket(t, "websocket")
	io.WriteString(peer, "\x01\x03one")
	expect(t, r, "\x01\x03one")
	g.server.Drain(listeners.DrainOptions{})
	expect(t, r, "\x88\x02\x03\xe9")
}

func TestFramesAreFollowedInPiecesOfAnySize(t *testing.T) {
	stream := "\x81\x00" + "\x01\x03abc" + "\x89\x01p" + "\x80\x7e\x00\x80" + strings.Repeat("x", 128) +
		"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00" + strings.Repeat("y", 65536) + "\x81\x85mask\x00\x00\x00\x00\x00" + "\x88\x02\x03\xe9"
	want := []int{2, 7, 10, 142, 142 + 10 + 65536, 142 + 10 + 65536 + 11, len(stream)}
	for _, size := range []int{1, 2, 3, 7, 1000, len(stream)} {
		var f frames
		var got []int
		for at := 0; at < len(stream); {
			piece := stream[at:min(at+size, len(stream))]
			for len(piece) > 0 {
				n := f.next([]byte(piece))
				if n < 0 {
					at += len(piece)
					break
				}
				at += n
				piece = piece[n:]
				got = append(got, at)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || !f.whole() || !f.between() || !f.closed {
			t.Errorf("pieces of %d: ends at %v, want %v; %+v", size, got, want, f)
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x81\x00\x01\x03abc\x80\x7e\x00\x01x\x81\x85mask12345"), uint8(3))
	f.Add([]byte("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"), uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, size uint8) {
		ends := func(size int) (all []int) {
			var fr frames
			for at := 0; at < len(data); {
				piece := data[at:min(at+size, len(data))]
				n := fr.next(piece)
				if n == 0 || n > len(piece) {
					t.Fatalf("%d of %d bytes read", n, len(piece))
				}
				if n < 0 {
					at += len(piece)
					continue
				}
				at += n
				if !fr.whole() {
					t.Fatal("an end that is none")
				}
				all = append(all, at)
			}
			return all
		}
		if a, b := ends(int(size)+1), ends(len(data)+1); fmt.Sprint(a) != fmt.Sprint(b) {
			t.Fatalf("ends at %v in pieces, %v in one", a, b)
		}
	})
}
