package listeners

import (
	"context"
	cryptotls "crypto/tls"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/mcpgateway/mcpgateway/tls"
)

// retries is a socket that counts Retry packets (RFC 9000 section 17.2.5).
type retries struct {
	net.PacketConn
	n atomic.Int64
}

func (r *retries) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := r.PacketConn.ReadFrom(b)
	if n > 0 && b[0]&0xf0 == 0xf0 {
		r.n.Add(1)
	}
	return n, from, err
}

// Clients beyond what the listener takes unseen prove their address, and get in.
func TestClientsProveTheirAddressUnderLoad(t *testing.T) {
	f := newFixture(t, hello, withHTTP3)
	counted := &retries{PacketConn: udp(t)}
	from := &quic.Transport{Conn: counted}
	defer from.Close()
	dial := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		conn, err := f.quicFrom(ctx, from, &quic.Config{})
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.CloseWithError(codeNoError, "")
	}
	for range 5 {
		dial()
	}
	if n := counted.n.Load(); n > 0 {
		t.Errorf("%d were sent back without need", n)
	}
	f.socket.quic().limiter.SetBurst(0) // as if many had come
	for range 5 {
		dial()
	}
	if n := counted.n.Load(); n < 5 {
		t.Errorf("%d of 5 were sent back", n)
	}
}

func TestAdviceAboutTheReceiveBufferIsGivenOnce(t *testing.T) {
	var said []string
	s := NewSockets(&Trace{Advice: func(message string) { said = append(said, message) }})
	defer s.Close()
	for range 3 {
		conn := udp(t)
		if err := conn.SetReadBuffer(64 << 10); err != nil {
			t.Fatal(err)
		}
		s.adviseBuffer(conn)
	}
	if len(said) != 1 {
		t.Errorf("said %q", said)
	}
}

// The trust changes while a client chooses its certificate: who looked over the
// open connections did not find this one among them.
func TestAHandshakeMustPassTheTrustOfItsEnd(t *testing.T) {
	for _, proto := range []string{protoHTTP2, protoHTTP3} {
		t.Run(proto, func(t *testing.T) {
			f := newFixture(t, hello, withHTTP3)
			clientAuth(f, tls.ClientAuthRequire)(&f.cfg)
			f.server = f.newServer(hello)
			f.socket.Serve(f.server)
			cert, key := f.ca.Client(t, "client", "spiffe://td/client")
			get := func(change func()) error {
				cfg := f.clientTLS(nil, cert, key)
				own := cfg.Certificates[0]
				cfg.Certificates = nil
				cfg.GetClientCertificate = func(*cryptotls.CertificateRequestInfo) (*cryptotls.Certificate, error) {
					change()
					return &own, nil
				}
				client := f.client((*http.Protocols).SetHTTP2)
				client.Transport.(*http.Transport).TLSClientConfig = cfg
				if proto == protoHTTP3 {
					client = f.quic(cfg).Client
				}
				res, err := client.Get(f.url("/"))
				if err == nil {
					res.Body.Close()
				}
				return err
			}
			if err := get(func() {}); err != nil {
				t.Fatalf("before the change: %v", err)
			}
			narrow := sync.OnceFunc(func() {
				f.cfg.TLS.ClientAuth.AllowedNames = []string{"spiffe://td/other"}
				snapshot := f.snapshot(f.server.tls.Snapshot())
				f.server.SwapTLS(snapshot)
				f.server.Retire(f.server.Unverified(snapshot), time.Millisecond)
			})
			if err := get(narrow); err == nil {
				t.Error("it came in by the trust of its handshake's beginning")
			}
		})
	}
}
