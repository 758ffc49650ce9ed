package tls

import (
	cryptotls "crypto/tls"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

func newClient(t *testing.T, cfg *ClientConfig) *Client {
	t.Helper()
	c, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClientVerifiesServersAndSaysWhatWouldHelp(t *testing.T) {
	ca, other := tlstest.NewCA(t, "Test CA"), tlstest.NewCA(t, "other CA")
	localhost := serve(t, pair(ca.Server(t, "localhost", "spiffe://td/server")))
	wildcard := serve(t, pair(ca.Server(t, "*.example.com")))
	onlyCN := serve(t, pair(ca.CommonNameOnly(t, "localhost")))
	forClients := serve(t, pair(ca.Client(t, "client", "localhost")))
	below := serve(t, pair(ca.Intermediate(t, "intermediate").Server(t, "localhost")))
	expired := tlstest.Template(t, "localhost")
	expired.DNSNames = []string{"localhost"}
	expired.NotAfter = time.Now().Add(-time.Minute)
	old := serve(t, pair(ca.Issue(t, expired)))
	confined := ca.Intermediate(t, "confined CA", "example.com")
	escaped := serve(t, pair(confined.CommonNameOnly(t, "localhost")))

	for _, c := range []struct {
		name   string
		server *cryptotls.Config
		host   string
		cfg    ClientConfig
		want   []string // parts of the error; none: it passes
	}{
		{name: "by SAN", server: localhost, host: "localhost"},
		{name: "through an intermediate", server: below, host: "localhost"},
		{name: "by wildcard SAN", server: wildcard, host: "a.example.com"},
		{name: "by server_name", server: localhost, host: "127.0.0.1", cfg: ClientConfig{ServerName: "localhost"}},
		{name: "by verify_names", server: localhost, host: "127.0.0.1", cfg: ClientConfig{VerifyNames: []string{"x.test", "spiffe://td/*"}}},
		{name: "by wildcard in verify_names", server: wildcard, host: "127.0.0.1", cfg: ClientConfig{VerifyNames: []string{"a.example.com"}}},
		{name: "by common name", server: onlyCN, host: "localhost", cfg: ClientConfig{AllowCommonName: true}},
		{name: "by common name and server_name", server: onlyCN, host: "127.0.0.1", cfg: ClientConfig{AllowCommonName: true, ServerName: "localhost"}},
		{name: "by common name and verify_names", server: onlyCN, host: "127.0.0.1", cfg: ClientConfig{AllowCommonName: true, VerifyNames: []string{"localhost"}}},
		{name: "not at all", server: old, host: "127.0.0.1", cfg: ClientConfig{InsecureSkipVerify: true}},

		{"IP endpoint", localhost, "127.0.0.1", ClientConfig{}, []string{"localhost", "not for 127.0.0.1", "set server_name"}},
		{"IP endpoint with common name", onlyCN, "127.0.0.1", ClientConfig{AllowCommonName: true}, []string{"not 127.0.0.1", "server_name: localhost"}},
		{"common name not allowed", onlyCN, "localhost", ClientConfig{}, []string{"allow_common_name: true", "server_name: localhost"}},
		{"common name beside a SAN", localhost, "server", ClientConfig{AllowCommonName: true}, []string{"not for server"}},
		{"common name out of bounds", escaped, "localhost", ClientConfig{AllowCommonName: true}, []string{"name constraints"}},
		{"wrong server_name", localhost, "localhost", ClientConfig{ServerName: "x.test"}, []string{"not for the server_name x.test"}},
		{"wrong verify_names", localhost, "localhost", ClientConfig{VerifyNames: []string{"x.test"}}, []string{"verify_names: x.test"}},
		{"deeper than the wildcard", wildcard, "a.b.example.com", ClientConfig{}, []string{"not for a.b.example.com"}},
		{"expired", old, "localhost", ClientConfig{}, []string{"expired"}},
		{"a client's certificate", forClients, "localhost", ClientConfig{}, []string{"incompatible key usage"}},
		{"another CA", localhost, "localhost", ClientConfig{CACert: file(other.PEM())}, []string{"unknown authority"}},
	} {
		for _, version := range []uint16{cryptotls.VersionTLS12, cryptotls.VersionTLS13} {
			t.Run(c.name+"/"+cryptotls.VersionName(version), func(t *testing.T) {
				if c.cfg.CACert.IsZero() {
					c.cfg.CACert = file(ca.PEM())
				}
				server := c.server.Clone()
				server.MaxVersion = version
				client := newClient(t, &c.cfg).Config(c.host, nil)
				// The second connection resumes the first, where there was one.
				for range 2 {
					err := connect(t, server, client).clientErr
					if len(c.want) == 0 && err != nil {
						t.Fatal(err)
					}
					for _, part := range c.want {
						if err == nil || !strings.Contains(err.Error(), part) {
							t.Fatalf("got %v, want an error with %q", err, part)
						}
					}
				}
			})
		}
	}
}

func TestPrivateCAIsHintedAtWithSystemRoots(t *testing.T) {
	ca := tlstest.NewCA(t, "CA")
	err := connect(t, serve(t, pair(ca.Server(t, "localhost"))), newClient(t, nil).Config("localhost", nil)).clientErr
	if err == nil || !strings.Contains(err.Error(), "ca_cert") {
		t.Errorf("got %v, want a hint at ca_cert", err)
	}
}

func TestClientCertificateIsShownWhateverCAsTheServerNames(t *testing.T) {
	ca, other := tlstest.NewCA(t, "CA"), tlstest.NewCA(t, "other CA")
	server := serve(t, pair(ca.Server(t, "localhost")))
	server.ClientAuth = cryptotls.RequireAnyClientCert
	server.ClientCAs = other.Pool()
	cert, key := ca.Client(t, "me")
	client := newClient(t, &ClientConfig{CACert: file(ca.PEM()), ClientCert: file(cert), ClientKey: secret(key)})
	out := mustConnect(t, server, client.Config("localhost", nil))
	if got := PeerName(out.server.PeerCertificates[0]); got != "CN=me" {
		t.Errorf("the server saw %s", got)
	}
	if client.NotAfter().IsZero() {
		t.Error("NotAfter of the identity is zero")
	}
}

func TestSessionsAreNotSharedBetweenIdentities(t *testing.T) {
	ca := tlstest.NewCA(t, "CA")
	server := serve(t, pair(ca.Server(t, "localhost")))
	server.ClientAuth, server.ClientCAs = cryptotls.RequireAndVerifyClientCert, ca.Pool()
	for _, name := range []string{"one", "two"} {
		cert, key := ca.Client(t, name)
		client := newClient(t, &ClientConfig{CACert: file(ca.PEM()), ClientCert: file(cert), ClientKey: secret(key)})
		for resumed := range 2 {
			out := mustConnect(t, server, client.Config("localhost", nil))
			if got := PeerName(out.server.PeerCertificates[0]); got != "CN="+name {
				t.Errorf("%s appeared as %s", name, got)
			}
			if out.client.DidResume != (resumed == 1) {
				t.Errorf("%s: connection %d resumed: %v", name, resumed, out.client.DidResume)
			}
		}
	}
}

func TestResumedServerIsVerifiedAgain(t *testing.T) {
	ca := tlstest.NewCA(t, "CA")
	server := serve(t, pair(ca.Server(t, "localhost")))
	client := newClient(t, &ClientConfig{CACert: file(ca.PEM())})
	mustConnect(t, server, client.Config("localhost", nil))
	// Not reachable by configuration, where another trust is another Client.
	client.trust, _ = parseTrust(tlstest.NewCA(t, "next CA").PEM())
	out := connect(t, server, client.Config("localhost", nil))
	if out.clientErr == nil {
		t.Fatal("the remembered server passed without its CA")
	}
	client.trust, _ = parseTrust(ca.PEM())
	if out := mustConnect(t, server, client.Config("localhost", nil)); out.client.DidResume {
		t.Error("a session that failed verification was kept")
	}
}
