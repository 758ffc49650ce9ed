package harness

import (
	"context"
	cryptotls "crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// Client is an HTTP client that trusts ca, shows certs, and speaks only the
// given protocol: "http/1.1" or "h2". For a listener without TLS there is
// http.DefaultClient.
func Client(t testing.TB, ca []byte, protocol string, certs ...cryptotls.Certificate) *http.Client {
	t.Helper()
	c, _ := ClientOf(t, protocol, ca, func(cfg *cryptotls.Config) { cfg.Certificates = certs })
	return c
}

// UDPSocket is a socket of a QUIC client, on a port of its own.
func UDPSocket(t *testing.T) *quic.Transport {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	tr := &quic.Transport{Conn: conn}
	t.Cleanup(func() {
		tr.Close()
		conn.Close()
	})
	return tr
}

// Get returns the status, body and header of an answer.
func Get(t testing.TB, c *http.Client, url string) (int, string, http.Header) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	return resp.StatusCode, string(b), resp.Header
}

// Transports are the versions of HTTP that a listener speaks.
var Transports = []string{"http/1.1", "h2", "h3"}

// Dials keeps the QUIC connections that a client has opened.
type Dials struct {
	mu    sync.Mutex
	conns []*quic.Conn
}

// All returns them, the oldest first.
func (d *Dials) All() []*quic.Conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]*quic.Conn(nil), d.conns...)
}

// ClientOf is Client for each of Transports, with a TLS configuration to
// edit. The server is believed if it shows a certificate of the CA. For "http/1.1"
// the client offers no ALPN protocol at all.
func ClientOf(t testing.TB, protocol string, ca []byte, edit func(*cryptotls.Config)) (*http.Client, *Dials) {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		t.Fatal("no CA; for a listener without TLS there is http.DefaultClient")
	}
	cfg := &cryptotls.Config{RootCAs: pool}
	if edit != nil {
		edit(cfg)
	}
	d := &Dials{}
	if protocol != "h3" {
		p := new(http.Protocols)
		p.SetHTTP1(protocol == "http/1.1")
		p.SetHTTP2(protocol == "h2")
		tr := &http.Transport{Protocols: p, TLSClientConfig: cfg}
		t.Cleanup(tr.CloseIdleConnections)
		return &http.Client{Transport: tr}, d
	}
	tr := &http3.Transport{TLSClientConfig: cfg, QUICConfig: &quic.Config{MaxIdleTimeout: 10 * time.Second, KeepAlivePeriod: 2 * time.Second}}
	tr.Dial = func(ctx context.Context, addr string, cfg *cryptotls.Config, qcfg *quic.Config) (*quic.Conn, error) {
		conn, err := quic.DialAddr(ctx, addr, cfg, qcfg)
		if err == nil {
			d.mu.Lock()
			d.conns = append(d.conns, conn)
			d.mu.Unlock()
		}
		return conn, err
	}
	t.Cleanup(func() { tr.Close() })
	return &http.Client{Transport: tr}, d
}

// WithCertificate is an edit of ClientOf: the client shows a client certificate.
func WithCertificate(cert cryptotls.Certificate) func(*cryptotls.Config) {
	return func(c *cryptotls.Config) { c.Certificates = []cryptotls.Certificate{cert} }
}

// Ask sends a request for host, to the address of the URL.
func Ask(c *http.Client, url, host string, header ...string) (status int, body string, state *cryptotls.ConnectionState, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", nil, err
	}
	req.Host = host
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := c.Do(req)
	if err != nil {
		return 0, "", nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), res.TLS, err
}

func hostPort(port string) string { return net.JoinHostPort("localhost", port) }
