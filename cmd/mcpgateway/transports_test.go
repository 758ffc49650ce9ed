package main_test

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

// transports are the versions of HTTP that a listener speaks.
var transports = []string{"http/1.1", "h2", "h3"}

// dialled keeps the QUIC connections that a client has opened.
type dialled struct {
	mu    sync.Mutex
	conns []*quic.Conn
}

func (d *dialled) all() []*quic.Conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]*quic.Conn(nil), d.conns...)
}

// clientOf is client for each of transports, with a TLS configuration to
// edit. The server is believed if it shows a certificate of the CA.
func clientOf(t testing.TB, protocol string, ca []byte, edit func(*cryptotls.Config)) (*http.Client, *dialled) {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		t.Fatal("no CA")
	}
	cfg := &cryptotls.Config{RootCAs: pool}
	if edit != nil {
		edit(cfg)
	}
	d := &dialled{}
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

// with shows a client certificate.
func with(cert cryptotls.Certificate) func(*cryptotls.Config) {
	return func(c *cryptotls.Config) { c.Certificates = []cryptotls.Certificate{cert} }
}

// ask sends a request for host, to the address of the URL.
func ask(c *http.Client, url, host string, header ...string) (status int, body string, state *cryptotls.ConnectionState, err error) {
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

// drawer is a session cache with one drawer: it shows a server the tickets of
// every other.
type drawer struct {
	mu    sync.Mutex
	state *cryptotls.ClientSessionState
	came  chan struct{}
}

func newDrawer() *drawer { return &drawer{came: make(chan struct{}, 100)} }

func (d *drawer) Get(string) (*cryptotls.ClientSessionState, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state, d.state != nil
}

func (d *drawer) Put(_ string, state *cryptotls.ClientSessionState) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state = state; state != nil {
		d.came <- struct{}{}
	}
}

// await waits for a ticket, which a server sends when it likes.
func (d *drawer) await(t testing.TB) {
	t.Helper()
	select {
	case <-d.came:
	case <-time.After(10 * time.Second):
		t.Fatal("no ticket came")
	}
}

func hostPort(port string) string { return net.JoinHostPort("localhost", port) }
