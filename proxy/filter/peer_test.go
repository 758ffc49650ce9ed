package filter

import (
	cryptotls "crypto/tls"
	"io"
	"net/http"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mcpgateway/mcpgateway/listeners"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/tls"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// mutual serves h on a listener that asks for client certificates of ca.
func mutual(t *testing.T, ca *tlstest.CA, h http.Handler) (addr string) {
	t.Helper()
	cert, key := ca.Server(t, "localhost", "127.0.0.1")
	cfg := &listeners.Config{}
	if err := config.Defaults(cfg); err != nil {
		t.Fatal(err)
	}
	cfg.Name, cfg.Address = "test", "127.0.0.1:0"
	snapshot, err := tls.NewServerSnapshot(&tls.ServerConfig{
		Certificates: []tls.KeyPair{{Cert: file(cert), Key: secretFile(key)}},
		ClientAuth:   tls.ClientAuth{Mode: tls.ClientAuthRequest, CACert: file(ca.PEM())},
	}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	sockets := listeners.NewSockets(nil)
	socket, err := sockets.Bind(cfg.Address)
	if err != nil {
		t.Fatal(err)
	}
	server := listeners.NewServer(cfg, snapshot, h, nil)
	socket.Serve(server)
	t.Cleanup(func() {
		sockets.Close()
		server.Close()
		<-server.Done()
	})
	return socket.Addr().String()
}

func TestClientCertificates(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	auth, err := NewAuth(&AuthConfig{ClientCert: &ClientCertConfig{AllowedNames: []string{"spiffe://td/*"}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	both, err := NewAuth(&AuthConfig{ClientCert: &ClientCertConfig{}, JWT: &JWTConfig{Require: []string{"exp", "sub"}, PrincipalClaims: []string{"sub"}, HMACSecretFiles: []config.Secret{secretFile(testKeys.secret)}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	who := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, PrincipalFrom(r.Context()).String())
	})
	mux := http.NewServeMux()
	mux.Handle("/open", who)
	mux.Handle("/named", auth.Wrap(who, nil))
	mux.Handle("/both", both.Wrap(who, nil))
	entries := make(chan Entry, 1)
	addr := mutual(t, ca, AccessLog(mux, func(e *Entry) { entries <- *e }))

	token := sign(t, jwt.SigningMethodHS256, testKeys.secret, "", jwt.MapClaims{"iss": "i", "sub": "alice", "exp": inAnHour()})
	for _, c := range []struct {
		name, path, cn, san, token string
		status                     int
		body, peer                 string
	}{
		{"no certificate", "/open", "", "", "", 200, "anonymous", ""},
		{"by SAN", "/open", "Client", "spiffe://td/a", "", 200, "certificate:CN=Test CA/spiffe://td/a", "spiffe://td/a"},
		{"by subject", "/open", "Client", "", "", 200, "certificate:CN=Test CA/CN=Client", "CN=Client"},
		{"allowed", "/named", "Client", "spiffe://td/a", "", 200, "certificate:CN=Test CA/spiffe://td/a", "spiffe://td/a"},
		{"not allowed", "/named", "Client", "spiffe://other/a", "", 401, "", "spiffe://other/a"},
		{"a token does not replace it", "/named", "", "", token, 401, "", ""},
		{"both", "/both", "Client", "spiffe://td/a", token, 200, "jwt:i/alice", "spiffe://td/a"},
		{"certificate alone", "/both", "Client", "spiffe://td/a", "", 401, "", "spiffe://td/a"},
		{"token alone", "/both", "", "", token, 401, "", ""},
	} {
		cfg := &cryptotls.Config{RootCAs: ca.Pool()}
		if c.cn != "" {
			var sans []string
			if c.san != "" {
				sans = []string{c.san}
			}
			certPEM, keyPEM := ca.Client(t, c.cn, sans...)
			cfg.Certificates = []cryptotls.Certificate{tlstest.Certificate(t, certPEM, keyPEM)}
		}
		transport := &http.Transport{TLSClientConfig: cfg, ForceAttemptHTTP2: true}
		req, _ := http.NewRequest("GET", "https://"+addr+c.path, nil)
		if c.token != "" {
			req.Header.Set("Authorization", "Bearer "+c.token)
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		transport.CloseIdleConnections()
		if resp.StatusCode != c.status || c.status == 200 && string(body) != c.body {
			t.Errorf("%s: %d %s; want %d %s", c.name, resp.StatusCode, body, c.status, c.body)
		}
		if c.status == 401 && resp.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no challenge", c.name)
		}
		if e := <-entries; e.Peer != c.peer || (e.Flag == FlagUnauthorized) != (c.status == 401) {
			t.Errorf("%s: the log has peer %q, flag %q, %s", c.name, e.Peer, e.Flag, e.Reason)
		}
	}
}
