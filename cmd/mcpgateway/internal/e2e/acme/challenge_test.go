package acme_test

import (
	"context"
	cryptotls "crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// An authority has no client certificate, and its handshake is answered on a
// listener that demands one. Nothing else may come in by that door: not over
// TCP, where the connection ends, and not over QUIC, where no authority comes.
func TestAChallengeLetsNobodyIn(t *testing.T) {
	t.Parallel()
	ca, dir := tlstest.NewCA(t, "CA"), harness.ShortDir(t)
	harness.WriteFile(t, dir, "ca.crt", ca.PEM())
	// An authority that lets the gateway wait: it looks after its storage no more.
	ends := make(chan struct{})
	authority := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-ends }))
	cert, key := ca.Server(t, "127.0.0.1")
	authority.TLS = &cryptotls.Config{Certificates: []cryptotls.Certificate{tlstest.Certificate(t, cert, key)}}
	authority.StartTLS()
	t.Cleanup(func() {
		close(ends)
		authority.Close()
	})
	directory := authority.URL + "/dir"
	g := harness.Start(t, dir, fmt.Sprintf(`
acme: {directory: "%s", ca_cert: ca.crt, storage: store}
listeners:
  - name: public
    address: 127.0.0.1:0
    protocols: [http/1.1, h2, h3]
    tls: {certificates: [{acme: [%s]}], client_auth: {mode: require, ca_cert: ca.crt}}
routes:
  - {match: {path_prefix: /}, respond: {body: "secret"}}
`, directory, harness.ACMEName))
	// As another gateway on the same storage asks for it.
	challenge, err := json.Marshal(acme.Challenge{
		Type: acme.ChallengeTypeTLSALPN01, Token: "token", KeyAuthorization: "token.thumbprint",
		Identifier: acme.Identifier{Type: "dns", Value: harness.ACMEName},
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "store", "acme", certmagic.StorageKeys.Safe((&certmagic.ACMEIssuer{CA: directory}).IssuerKey()), "challenge_tokens", harness.ACMEName+".json")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	hello := &cryptotls.Config{ServerName: harness.ACMEName, NextProtos: []string{challengeALPN}, InsecureSkipVerify: true}

	var conn *cryptotls.Conn
	g.Eventually("the challenge to be answered", func() (err error) {
		// What it finds before its first order it takes for left over.
		if err = os.WriteFile(path, challenge, 0o600); err == nil {
			conn, err = cryptotls.Dial("tcp", g.Address("public"), hello)
		}
		return err
	})
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+harness.ACMEName+"\r\n\r\n")
	if n, err := conn.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Errorf("over TCP the gateway answered")
	}

	to, err := net.ResolveUDPAddr("udp4", g.Address("public"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	qc, err := harness.UDPSocket(t).Dial(ctx, to, hello, &quic.Config{})
	if err != nil {
		return // refused in the handshake
	}
	hc := &http.Client{Transport: (&http3.Transport{}).NewClientConn(qc)}
	if status, body, _, err := harness.Ask(hc, "https://"+harness.ACMEName+"/", ""); err == nil {
		t.Errorf("over QUIC a stranger got %d %s", status, body)
	}
}

// challengeALPN is the protocol of a TLS-ALPN-01 challenge (RFC 8737 section 6.2).
const challengeALPN = "acme-tls/1"
