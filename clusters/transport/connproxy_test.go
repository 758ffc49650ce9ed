package transport_test

import (
	cryptotls "crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/mcpgateway/mcpgateway/clusters/peertest"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// The endpoint answers no peer without a header, which comes before TLS where there
// is any.
func TestConnectionsBeginWithAPROXYHeader(t *testing.T) {
	ca := tlstest.NewCA(t, "CA")
	cert, key := ca.Server(t, "127.0.0.1")
	for _, version := range []string{"v1", "v2"} {
		for _, scheme := range []string{"http", "https"} {
			t.Run(version+"/"+scheme, func(t *testing.T) {
				tcp, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				headers := make(chan *proxyproto.Header, 10)
				var ln net.Listener = &proxyproto.Listener{
					Listener:          tcp,
					ReadHeaderTimeout: 10 * time.Second,
					ConnPolicy:        func(proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) { return proxyproto.REQUIRE, nil },
					ValidateHeader: func(h *proxyproto.Header) error {
						headers <- h
						return nil
					},
				}
				if scheme == "https" {
					ln = cryptotls.NewListener(ln, &cryptotls.Config{Certificates: []cryptotls.Certificate{tlstest.Certificate(t, cert, key)}})
				}
				server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "here") })}
				go func() { _ = server.Serve(ln) }()
				t.Cleanup(func() { server.Close() })

				cfg := cluster(t, "a", scheme+"://"+tcp.Addr().String())
				cfg.Proxy = version
				if scheme == "https" {
					cfg.TLS = peertest.Identity(t, ca, "gateway")
				}
				if got := peertest.Fetch(t, connect(t, cfg), "/"); got != "here" {
					t.Errorf("got %q", got)
				}
				if h := <-headers; h.Version != version[1]-'0' || h.SourceAddr != nil {
					t.Errorf("the header is %+v, and should name no client", h)
				}
			})
		}
	}
}
