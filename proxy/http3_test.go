package proxy

import (
	cryptotls "crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/quic-go/quic-go/http3"

	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// http3API is api over HTTP/3, and asks for client certificates of the CA; it
// answers with their names.
func http3API(t *testing.T, ca *tlstest.CA) (addr string) {
	t.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	cert, key := ca.Server(t, "127.0.0.1")
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca.PEM())
	s := &http3.Server{
		TLSConfig: http3.ConfigureTLSConfig(&cryptotls.Config{
			Certificates: []cryptotls.Certificate{tlstest.Certificate(t, cert, key)},
			ClientAuth:   cryptotls.RequireAndVerifyClientCert,
			ClientCAs:    pool,
		}),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/events" {
				fmt.Fprint(w, r.Proto, " ", r.TLS.PeerCertificates[0].Subject.CommonName)
				return
			}
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "data: 1\n\n")
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(socket)
	}()
	t.Cleanup(func() {
		s.Close()
		socket.Close()
		<-done
	})
	return socket.LocalAddr().String()
}

func TestARotationKeepsStreamsFromHTTP3UpstreamsOpen(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	dir := t.TempDir()
	write(t, filepath.Join(dir, "ca.crt"), string(ca.PEM()))
	identity := func(name string) {
		cert, key := ca.Client(t, name)
		write(t, filepath.Join(dir, "client.crt"), string(cert))
		write(t, filepath.Join(dir, "client.key"), string(key))
	}
	identity("old")
	yaml := unwatched + `
listeners: [{name: public, address: "127.0.0.1:0"}]
routes: [{match: {path_prefix: /}, cluster: api}]
clusters:
  - name: api
    endpoints: ["https://` + http3API(t, ca) + `"]
    protocols: [h3]
    tls: {ca_cert: ca.crt, client_cert: client.crt, client_key: client.key}
    health_check: {kind: http}
`
	p := run(t, dir, yaml)
	base := "http://" + p.address("public")
	expectBody(t, base+"/", "HTTP/3.0 old")
	closeIt, ended := stream(t, base)
	identity("new")
	p.mustApply(yaml)
	expectBody(t, base+"/", "HTTP/3.0 new")
	select {
	case err := <-ended:
		t.Errorf("the stream ended: %v", err)
	default:
	}
	closeIt()
	<-ended
	p.settled()
}
