package proxy

import (
	cryptotls "crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// guarded is a server that wants a client certificate of the CA, and a key.
func guarded(t *testing.T, ca *tlstest.CA) (url string) {
	t.Helper()
	cert, key := ca.Server(t, "127.0.0.1")
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca.PEM())
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Key") != "right" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, "served")
	}))
	s.TLS = &cryptotls.Config{
		Certificates: []cryptotls.Certificate{tlstest.Certificate(t, cert, key)},
		ClientAuth:   cryptotls.RequireAndVerifyClientCert,
		ClientCAs:    pool,
	}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are expected
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

func TestAReloadThatCuresAnEndpointTellsNoOldError(t *testing.T) {
	ca, stranger := tlstest.NewCA(t, "CA"), tlstest.NewCA(t, "Stranger")
	dir := t.TempDir()
	for name, from := range map[string]*tlstest.CA{"right": ca, "wrong": stranger} {
		cert, key := from.Client(t, name)
		write(t, filepath.Join(dir, name+".crt"), string(cert))
		write(t, filepath.Join(dir, name+".key"), string(key))
	}
	write(t, filepath.Join(dir, "ca.crt"), string(ca.PEM()))
	upstream := guarded(t, ca)
	yaml := func(identity, key string) string {
		return unwatched + fmt.Sprintf(`
listeners: [{name: public, address: "127.0.0.1:0"}]
clusters:
  - name: mended
    endpoints: [%q]
    tls: {ca_cert: ca.crt, client_cert: %[2]s.crt, client_key: %[2]s.key}
    headers: {X-Key: %[3]s}
    health_check: {kind: http, interval: 1h, unhealthy_threshold: 1}
routes: [{match: {path: /}, cluster: mended}]
`, upstream, identity, key)
	}
	begin := func(identity, key, why string) *process {
		p := run(t, dir, yaml(identity, key))
		testkit.Retry(t, "the log, which is written in the background, to tell "+why, func() error {
			if told := p.logs.String(); !strings.Contains(told, "endpoints take no traffic yet; "+upstream+" is "+why) {
				return fmt.Errorf("it has\n%s", told)
			}
			return nil
		})
		return p
	}
	p := begin("wrong", "right", "unhealthy: ")
	if o := p.mustApply(yaml("right", "right")); len(o.Warnings) != 0 {
		t.Errorf("the corrected certificate: %q", o.Warnings)
	}
	expectBody(t, "http://"+p.address("public")+"/", "served")

	// Headers take effect with the commit: a check cannot tell before.
	p = begin("right", "wrong", "unauthorized: ")
	o := p.mustApply(yaml("right", "right"))
	if len(o.Warnings) != 1 || !strings.Contains(o.Warnings[0], "is checked at once; before this change it was unauthorized: ") {
		t.Errorf("the corrected key: %q", o.Warnings)
	}
	expectBody(t, "http://"+p.address("public")+"/", "served")
}
