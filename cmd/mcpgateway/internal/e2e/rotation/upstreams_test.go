package rotation_test

import (
	cryptotls "crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/quic-go/quic-go/http3"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// upstreams are three servers, one for each of transports, that ask for client
// certificates and all show the same one. Each is a cluster of its own.
type upstreams struct {
	ca    *tlstest.CA
	shown atomic.Pointer[cryptotls.Certificate]
	api   *harness.PlainAPI
	urls  map[string]string // by transport
}

func newUpstreams(t *testing.T) *upstreams {
	t.Helper()
	u := &upstreams{ca: tlstest.NewCA(t, "upstreams"), api: &harness.PlainAPI{}, urls: map[string]string{}}
	shown := harness.CertificateOf(u.ca.Server(t, "localhost", "127.0.0.1"))(t)
	u.shown.Store(&shown)
	// Every handshake is a whole one, in which certificates are looked at.
	cfg := &cryptotls.Config{SessionTicketsDisabled: true, ClientAuth: cryptotls.RequireAnyClientCert, GetCertificate: func(*cryptotls.ClientHelloInfo) (*cryptotls.Certificate, error) { return u.shown.Load(), nil }}
	for _, protocol := range harness.Transports[:2] {
		s := httptest.NewUnstartedServer(u.over(protocol))
		s.TLS, s.EnableHTTP2 = cfg.Clone(), protocol == "h2"
		s.StartTLS()
		t.Cleanup(s.Close)
		u.urls[protocol] = s.URL
	}
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	s, done := &http3.Server{TLSConfig: http3.ConfigureTLSConfig(cfg), Handler: u.over("h3")}, make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(socket)
	}()
	t.Cleanup(func() {
		s.Close()
		socket.Close()
		<-done
	})
	u.urls["h3"] = "https://" + socket.LocalAddr().String()
	return u
}

// over is a server's handler: plainAPI, and /who with the name of the client.
func (u *upstreams) over(protocol string) http.Handler {
	version := map[string]int{"http/1.1": 1, "h2": 2, "h3": 3}[protocol]
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.ProtoMajor != version:
			http.Error(w, "over "+r.Proto, http.StatusHTTPVersionNotSupported)
		case strings.HasSuffix(r.URL.Path, "/who"):
			fmt.Fprint(w, r.TLS.PeerCertificates[0].Subject.CommonName)
		default:
			u.api.ServeHTTP(w, r)
		}
	})
}

// apiOver is the path of the upstream that speaks a version of HTTP.
func apiOver(protocol string) string { return "/api/" + clusterOver(protocol) }

func clusterOver(protocol string) string {
	return strings.NewReplacer("/", "", ".", "").Replace(protocol)
}

func (u *upstreams) routes() string {
	var b strings.Builder
	for _, protocol := range harness.Transports {
		fmt.Fprintf(&b, "  - {match: {path_prefix: %s}, listeners: [all], cluster: %s, timeout: 0s}\n", apiOver(protocol), clusterOver(protocol))
	}
	return b.String()
}

func (u *upstreams) clusters() string {
	var b strings.Builder
	for _, protocol := range harness.Transports {
		fmt.Fprintf(&b, `  - name: %s
    endpoints: ["%s"]
    protocols: ["%s"]
    max_connection_age: 50ms # so that what is believed is soon seen, also beside open streams
    tls: {ca_cert: upstream.crt, client_cert: client.crt, client_key: client.key, server_name: localhost}
`, clusterOver(protocol), u.urls[protocol], protocol)
	}
	return b.String()
}
