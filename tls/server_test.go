package tls

import (
	cryptotls "crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

func TestServerChoosesCertificateBySNI(t *testing.T) {
	ca := tlstest.NewCA(t, "CA")
	var cfg ServerConfig
	for _, name := range []string{"first.test", "*.example.com", "a.example.com"} {
		cfg.Certificates = append(cfg.Certificates, pair(ca.Server(t, name)))
	}
	cfg.Certificates = append(cfg.Certificates, pair(ca.CommonNameOnly(t, "old.test")))
	server := NewServer(snapshot(t, &cfg, nil)).Config(nil)
	for sni, want := range map[string]string{
		"":                "first.test",
		"first.test":      "first.test",
		"unknown.test":    "first.test",
		"a.example.com":   "a.example.com",
		"A.Example.COM":   "a.example.com",
		"b.example.com":   "*.example.com",
		"c.b.example.com": "first.test",
		"example.com":     "first.test",
		"old.test":        "old.test",
	} {
		out := mustConnect(t, server, &cryptotls.Config{ServerName: sni, InsecureSkipVerify: true})
		if got := out.client.PeerCertificates[0].Subject.CommonName; got != want {
			t.Errorf("SNI %q: got the certificate of %s, want %s", sni, got, want)
		}
	}
}

// at is a connection to an address.
type at struct {
	net.Conn
	addr net.Addr
}

func (a at) LocalAddr() net.Addr { return a.addr }

// managed has certificates by ACME for some names.
type managed map[string]*cryptotls.Certificate

func (m managed) Certificate(name string) (*cryptotls.Certificate, error) {
	if cert := m[name]; cert != nil {
		return cert, nil
	}
	return nil, fmt.Errorf("%s is not obtained yet", name)
}
func (m managed) Challenge(*cryptotls.ClientHelloInfo) (*cryptotls.Certificate, error) {
	return nil, errors.New("none")
}
func (m managed) Changes() uint64 { return 0 }

// A client that comes by an address sends no name, and one that comes early finds
// nothing by ACME yet.
func TestServerChoosesCertificateByAddressAndPassesOverWhatIsMissing(t *testing.T) {
	ca := tlstest.NewCA(t, "CA")
	cert, key := ca.Server(t, "2001:db8::7")
	byACME := tlstest.Certificate(t, cert, key)
	cfg := ServerConfig{Certificates: []KeyPair{
		{ACME: []string{"mcp.test", "2001:DB8:0::7"}}, pair(ca.Server(t, "first.test")), pair(ca.Server(t, "192.0.2.7", "other.test")),
	}}
	s, err := NewServerSnapshot(&cfg, nil, managed{"2001:DB8:0::7": &byACME})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		sni  string
		conn net.Conn
		want string // Common Name; empty: an error
	}{
		{"", nil, "2001:db8::7"}, // what there is of the first
		{"unknown.test", nil, "2001:db8::7"},
		{"mcp.test", nil, ""},
		{"other.test", nil, "192.0.2.7"},
		{"", at{addr: &net.TCPAddr{IP: net.ParseIP("192.0.2.7"), Port: 443}}, "192.0.2.7"},
		{"", at{addr: &net.UDPAddr{IP: net.ParseIP("2001:db8::7"), Port: 443}}, "2001:db8::7"},
		{"", at{addr: &net.UnixAddr{Name: "/run/x"}}, "2001:db8::7"},
		{"first.test", at{addr: &net.TCPAddr{IP: net.ParseIP("192.0.2.7"), Port: 443}}, "first.test"},
	} {
		cert, err := s.policyFor(c.sni).choose(&cryptotls.ClientHelloInfo{ServerName: c.sni, Conn: c.conn})
		switch {
		case err != nil && c.want != "":
			t.Errorf("%q: %v", c.sni, err)
		case err == nil && cert.Leaf.Subject.CommonName != c.want:
			t.Errorf("%q over %v: got %s, want %q", c.sni, c.conn, cert.Leaf.Subject.CommonName, c.want)
		}
	}
}

// mtls is a listener's configuration and what its clients need.
type mtls struct {
	ca  *tlstest.CA
	cfg ServerConfig
}

func newMTLS(t *testing.T, mode ClientAuthMode, allowed ...string) *mtls {
	m := &mtls{ca: tlstest.NewCA(t, "CA")}
	m.cfg.Certificates = []KeyPair{pair(m.ca.Server(t, "localhost"))}
	m.cfg.ClientAuth = ClientAuth{Mode: mode, CACert: file(m.ca.PEM()), AllowedNames: allowed}
	return m
}

func (m *mtls) client(t *testing.T, identity ...KeyPair) *cryptotls.Config {
	cfg := &cryptotls.Config{
		ServerName:         "localhost",
		RootCAs:            m.ca.Pool(),
		ClientSessionCache: cryptotls.NewLRUClientSessionCache(0),
	}
	for _, p := range identity {
		cert := tlstest.Certificate(t, p.Cert.Data, p.Key.Data)
		cfg.GetClientCertificate = func(*cryptotls.CertificateRequestInfo) (*cryptotls.Certificate, error) {
			return &cert, nil
		}
	}
	return cfg
}

func TestClientAuthModes(t *testing.T) {
	other := tlstest.NewCA(t, "other CA")
	for _, mode := range []ClientAuthMode{ClientAuthNone, ClientAuthRequest, ClientAuthRequire} {
		m := newMTLS(t, mode)
		expired := tlstest.Template(t, "expired")
		expired.NotAfter = time.Now().Add(-time.Minute)
		for _, c := range []struct {
			name   string
			client *cryptotls.Config
			passes bool
		}{
			{"no certificate", m.client(t), mode != ClientAuthRequire},
			{"a good one", m.client(t, pair(m.ca.Client(t, "good"))), true},
			{"X.509 v1", m.client(t, pair(m.ca.CommonNameOnly(t, "Client"))), true},
			{"another CA's", m.client(t, pair(other.Client(t, "bad"))), mode == ClientAuthNone},
			{"an expired one", m.client(t, pair(m.ca.Issue(t, expired))), mode == ClientAuthNone},
			{"one for servers", m.client(t, pair(m.ca.Server(t, "server"))), mode == ClientAuthNone},
		} {
			for _, version := range []uint16{cryptotls.VersionTLS12, cryptotls.VersionTLS13} {
				t.Run(fmt.Sprintf("%s/%s/%s", mode, c.name, cryptotls.VersionName(version)), func(t *testing.T) {
					client := c.client.Clone()
					client.MaxVersion = version
					server := NewServer(snapshot(t, &m.cfg, nil)).Config(nil)
					out := connect(t, server, client)
					if passed := out.clientErr == nil && out.serverErr == nil; passed != c.passes {
						t.Errorf("passed: %v (client %v, server %v), want %v", passed, out.clientErr, out.serverErr, c.passes)
					}
				})
			}
		}
	}
}

func TestIntermediateOfClientVerifies(t *testing.T) {
	m := newMTLS(t, ClientAuthRequire)
	cert, key := m.ca.Intermediate(t, "intermediate").Client(t, "client", "spiffe://td/a")
	out := mustConnect(t, NewServer(snapshot(t, &m.cfg, nil)).Config(nil), m.client(t, pair(cert, key)))
	peer := VerifiedPeer(&out.server)
	if peer == nil || PeerName(peer) != "spiffe://td/a" {
		t.Errorf("verified peer is %v, want spiffe://td/a", peer)
	}
}

func TestAllowedNamesDecideWhoGetsIn(t *testing.T) {
	m := newMTLS(t, ClientAuthRequire, "spiffe://td/*", "ops@example.com")
	server := NewServer(snapshot(t, &m.cfg, nil)).Config(nil)
	for name, want := range map[string]string{
		"spiffe://td/ns/a":    "",
		"ops@example.com":     "",
		"spiffe://other/ns/a": "is not in allowed_names",
		"":                    "has no subject alternative name",
	} {
		var names []string
		if name != "" {
			names = []string{name}
		}
		cert, key := m.ca.Client(t, "client", names...)
		out := connect(t, server, m.client(t, pair(cert, key)))
		if want == "" && out.serverErr != nil {
			t.Errorf("%s: %v", name, out.serverErr)
		}
		if want != "" && (out.serverErr == nil || !strings.Contains(out.serverErr.Error(), want)) {
			t.Errorf("%s: got %v, want an error that %q", name, out.serverErr, want)
		}
	}
}

func TestSessionResumesWhileNothingChanges(t *testing.T) {
	m := newMTLS(t, ClientAuthRequire)
	server := NewServer(snapshot(t, &m.cfg, nil))
	client := m.client(t, pair(m.ca.Client(t, "client")))
	mustConnect(t, server.Config(nil), client)
	server.Swap(snapshot(t, &m.cfg, server.Snapshot()))
	out := mustConnect(t, server.Config(nil), client)
	if !out.server.DidResume || VerifiedPeer(&out.server) == nil {
		t.Errorf("resumed: %v, verified peer: %v", out.server.DidResume, VerifiedPeer(&out.server))
	}
}

func TestTicketOfOpenPolicyDoesNotResumeOnStrictOne(t *testing.T) {
	m := newMTLS(t, ClientAuthNone)
	open := snapshot(t, &m.cfg, nil)
	server := NewServer(open)
	config := server.Config(nil)
	client := m.client(t)
	mustConnect(t, config, client)

	m.cfg.ClientAuth.Mode = ClientAuthRequire
	server.Swap(snapshot(t, &m.cfg, open))
	if out := connect(t, config, client); out.serverErr == nil {
		t.Error("a client without certificate got in by the ticket of an open policy")
	}
}

func TestCertificateRotationShowsAtOnceToResumingClients(t *testing.T) {
	m := newMTLS(t, ClientAuthNone)
	server := NewServer(snapshot(t, &m.cfg, nil))
	client := m.client(t)
	before := mustConnect(t, server.Config(nil), client)
	m.cfg.Certificates = []KeyPair{pair(m.ca.Server(t, "localhost"))}
	server.Swap(snapshot(t, &m.cfg, server.Snapshot()))
	after := mustConnect(t, server.Config(nil), client)
	if before.client.PeerCertificates[0].Equal(after.client.PeerCertificates[0]) {
		t.Error("the client still sees the certificate from before the rotation")
	}
}

func TestResumedHandshakeIsRefusedOnceItsCAIsGone(t *testing.T) {
	m := newMTLS(t, ClientAuthRequire)
	first := snapshot(t, &m.cfg, nil)
	server := NewServer(first)
	client := m.client(t, pair(m.ca.Client(t, "client")))
	mustConnect(t, server.Config(nil), client)

	m.cfg.ClientAuth.CACert = file(tlstest.NewCA(t, "next CA").PEM())
	strict := snapshot(t, &m.cfg, first)
	if strict.policies[0].tickets == first.policies[0].tickets {
		t.Error("ticket keys were inherited over a change of trust")
	}
	// Even if a ticket did open, the peer behind it is verified again.
	strict.policies[0].tickets = first.policies[0].tickets
	server.Swap(strict)
	if out := connect(t, server.Config(nil), client); out.serverErr == nil {
		t.Error("a client of the removed CA got in")
	}
}

func TestVerifyJudgesOpenConnections(t *testing.T) {
	m := newMTLS(t, ClientAuthRequire)
	cert, key := m.ca.Client(t, "client", "spiffe://td/a")
	out := mustConnect(t, NewServer(snapshot(t, &m.cfg, nil)).Config(nil), m.client(t, pair(cert, key)))
	for _, c := range []struct {
		change func(*ClientAuth)
		passes bool
	}{
		{func(*ClientAuth) {}, true},
		{func(a *ClientAuth) { a.AllowedNames = []string{"spiffe://td/a"} }, true},
		{func(a *ClientAuth) { a.AllowedNames = []string{"spiffe://td/b"} }, false},
		{func(a *ClientAuth) { a.CACert = file(tlstest.NewCA(t, "CA").PEM()) }, false},
	} {
		cfg := m.cfg
		c.change(&cfg.ClientAuth)
		if err := snapshot(t, &cfg, nil).Verify(out.server); (err == nil) != c.passes {
			t.Errorf("%+v: %v, want pass %v", cfg.ClientAuth.AllowedNames, err, c.passes)
		}
	}
}

func TestVerifyFailsOnceTheCertificateExpired(t *testing.T) {
	m := newMTLS(t, ClientAuthRequire)
	cert, key := m.ca.Client(t, "client")
	parsed, err := parseIdentity(cert, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := snapshot(t, &m.cfg, nil)
	if err := s.Verify(cryptotls.ConnectionState{PeerCertificates: []*x509.Certificate{parsed.Leaf}}); err != nil {
		t.Error(err)
	}
	expired := *parsed.Leaf
	expired.NotAfter = time.Now().Add(-time.Second)
	if err := s.Verify(cryptotls.ConnectionState{PeerCertificates: []*x509.Certificate{&expired}}); err == nil {
		t.Error("an expired certificate passed")
	}
}
