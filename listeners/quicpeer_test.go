package listeners

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"golang.org/x/net/ipv4"
)

// udp is a client's socket.
func udp(t *testing.T) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// quicFrom dials the fixture from a socket, and says nothing of HTTP/3.
func (f *fixture) quicFrom(ctx context.Context, from *quic.Transport, cfg *quic.Config) (*quic.Conn, error) {
	to, err := net.ResolveUDPAddr("udp4", f.socket.Addr().String())
	if err != nil {
		return nil, err
	}
	return from.Dial(ctx, to, f.clientTLS([]string{protoHTTP3}), cfg)
}

// bareQUIC is a connection from a socket of its own.
func (f *fixture) bareQUIC(cfg *quic.Config) *quic.Conn {
	f.t.Helper()
	from := &quic.Transport{Conn: udp(f.t)}
	f.t.Cleanup(func() { from.Close() })
	ctx, cancel := context.WithTimeout(f.t.Context(), patience)
	defer cancel()
	conn, err := f.quicFrom(ctx, from, cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = conn.CloseWithError(codeNoError, "") })
	return conn
}

// mute hears nothing, like a peer that sends from an address which is not its own.
type mute struct{ *net.UDPConn }

func (m mute) ReadBatch([]ipv4.Message, int) (int, error) {
	for {
		if _, _, err := m.ReadFrom(make([]byte, 2048)); err != nil {
			return 0, err
		}
	}
}

// forge begins handshakes that no client goes on with; the server gives each
// header_timeout.
func (f *fixture) forge(n int) {
	f.t.Helper()
	ctx, cancel := context.WithCancel(f.t.Context())
	done := make(chan struct{})
	from := &quic.Transport{Conn: mute{udp(f.t)}}
	f.t.Cleanup(func() {
		cancel()
		for range n {
			<-done
		}
		from.Close()
		// The server would wait for them until header_timeout.
		f.sockets.mu.Lock()
		defer f.sockets.mu.Unlock()
		for _, q := range f.sockets.quic {
			_ = q.transport.Close()
		}
	})
	for range n {
		go func() {
			_, _ = f.quicFrom(ctx, from, &quic.Config{HandshakeIdleTimeout: time.Minute})
			done <- struct{}{}
		}()
	}
}

// connectWebSocket asks for a WebSocket on a stream, and for nothing more.
func (f *fixture) connectWebSocket() *http3.RequestStream {
	f.t.Helper()
	stream, err := (&http3.Transport{}).NewClientConn(f.bareQUIC(&quic.Config{})).OpenRequestStream(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodConnect, "https://localhost/ws", nil)
	if err != nil {
		f.t.Fatal(err)
	}
	req.Proto = "websocket"
	req.Header.Set("Sec-WebSocket-Version", "13")
	if err := stream.SendRequestHeader(req); err != nil {
		f.t.Fatal(err)
	}
	return stream
}
