package harness

import (
	cryptotls "crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// Front is a gateway whose listener `open` lets everybody in, but for the name
// partners.test, and asks those who come to guests.test who they are; its
// listener `strict` lets no client in without a certificate. Its upstream tells what
// it was sent.
type Front struct {
	*Gateway
	CA, Clients *tlstest.CA
	Config      string
}

const frontConfig = `
reload: {watch: false}
drain: {timeout: 2s, close_spread: 10ms}
listeners:
  - name: open
    address: localhost:0
    protocols: [http/1.1, h2, h3]
    tls:
      certificates: [{cert: server.crt, key: server.key}]
      policies:
        - hosts: [partners.test]
          client_auth: {mode: require, ca_cert: clients.crt, crl: clients.crl, forward: true}
        - hosts: [guests.test]
          client_auth: {mode: request, ca_cert: clients.crt}
  - name: strict
    address: localhost:0
    protocols: [http/1.1, h2, h3]
    tls:
      certificates: [{cert: server.crt, key: server.key}]
      client_auth: {mode: require, ca_cert: clients.crt, crl: clients.crl}
routes:
  - match: {path: /who}
    listeners: [all]
    cluster: upstream
  - match: {path_prefix: /}
    listeners: [all]
    respond: {body: "here"}
clusters:
  - name: upstream
    endpoints: ["%s"]
`

// NewFront starts one.
func NewFront(t *testing.T) *Front {
	t.Helper()
	f := &Front{CA: tlstest.NewCA(t, "CA"), Clients: tlstest.NewCA(t, "clients")}
	dir := ShortDir(t)
	cert, key := f.CA.Server(t, "localhost", "partners.test", "guests.test")
	tlstest.WritePair(t, dir, "server", cert, key)
	WriteFile(t, dir, "clients.crt", f.Clients.PEM())
	WriteFile(t, dir, "clients.crl", f.Clients.CRL(t, time.Now().Add(time.Hour)))
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, strings.Join(r.Header["X-Forwarded-Client-Cert"], " AND "))
	}))
	t.Cleanup(upstream.Close)
	f.Config = fmt.Sprintf(frontConfig, upstream.URL)
	f.Gateway = Start(t, dir, f.Config)
	return f
}

// URL is that of a path, by the host localhost.
func (f *Front) URL(listener, path string) string {
	return "https://" + hostPort(f.Port(listener)) + path
}

// Identity is a client's certificate, also as PEM.
func (f *Front) Identity(cn string, sans ...string) (cryptotls.Certificate, []byte) {
	cert, key := f.Clients.Client(f.T, cn, sans...)
	return tlstest.Certificate(f.T, cert, key), cert
}
