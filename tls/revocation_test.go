package tls

import (
	"bytes"
	cryptotls "crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

func TestRevokedClientIsRefused(t *testing.T) {
	soon, past := time.Now().Add(time.Hour), time.Now().Add(-time.Minute)
	ca := tlstest.NewCA(t, "CA")
	below := ca.Intermediate(t, "intermediate")
	otherCA := tlstest.NewCA(t, "CA") // of the same name, with another key
	goodCert, goodKey := ca.Client(t, "good")
	badCert, badKey := ca.Client(t, "bad")
	deepCert, deepKey := below.Client(t, "deep")
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

	for _, c := range []struct {
		name      string
		crl       []byte
		expired   CRLExpired
		cert, key []byte
		want      string // part of the server's error; empty: it passes
	}{
		{"not named", ca.CRL(t, soon, badCert), "", goodCert, goodKey, ""},
		{"revoked", ca.CRL(t, soon, badCert), "", badCert, badKey, "was revoked by"},
		{"revoked, in DER", derOf(ca.CRL(t, soon, badCert)), "", badCert, badKey, "was revoked by"},
		{"expired list", ca.CRL(t, past, badCert), CRLExpiredReject, goodCert, goodKey, "expired on"},
		{"expired list is accepted", ca.CRL(t, past, badCert), CRLExpiredAccept, goodCert, goodKey, ""},
		{"revoked by an expired list", ca.CRL(t, past, badCert), CRLExpiredAccept, badCert, badKey, "was revoked by"},
		{"list of another key", otherCA.CRL(t, soon), "", goodCert, goodKey, "is not its own"},
		{"intermediate without a list", ca.CRL(t, soon), "", deepCert, deepKey, "no revocation list of"},
		{"intermediate with a list", join(ca.CRL(t, soon), below.CRL(t, soon)), "", deepCert, deepKey, ""},
		{"leaf revoked by the intermediate", join(ca.CRL(t, soon), below.CRL(t, soon, deepCert)), "", deepCert, deepKey, "was revoked by"},
		{"intermediate revoked", join(ca.CRL(t, soon, below.PEM()), below.CRL(t, soon)), "", deepCert, deepKey, "was revoked by"},
		{"two lists, one names it", join(ca.CRL(t, soon), ca.CRL(t, past, badCert)), "", badCert, badKey, "was revoked by"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMTLS(t, ClientAuthRequire)
			m.cfg.ClientAuth.CACert, m.cfg.ClientAuth.CRL, m.cfg.ClientAuth.CRLExpired = file(ca.PEM()), file(c.crl), c.expired
			err := connect(t, NewServer(snapshot(t, &m.cfg, nil)).Config(nil), m.client(t, pair(c.cert, c.key))).serverErr
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// The certificate is revoked between two handshakes of one client, which would
// resume the first.
func TestResumedHandshakeIsRefusedOnceItsCertificateIsRevoked(t *testing.T) {
	m := newMTLS(t, ClientAuthRequire)
	cert, key := m.ca.Client(t, "client")
	m.cfg.ClientAuth.CRL = file(m.ca.CRL(t, time.Now().Add(time.Hour)))
	first := snapshot(t, &m.cfg, nil)
	server := NewServer(first)
	client := m.client(t, pair(cert, key))
	before := mustConnect(t, server.Config(nil), client)
	if out := mustConnect(t, server.Config(nil), client); !out.server.DidResume {
		t.Fatal("nothing was resumed; the test shows nothing")
	}

	m.cfg.ClientAuth.CRL = file(m.ca.CRL(t, time.Now().Add(time.Hour), cert))
	next := snapshot(t, &m.cfg, first)
	if err := next.Verify(before.server); err == nil || !strings.Contains(err.Error(), "revoked") {
		t.Errorf("an open connection of the revoked client: %v", err)
	}
	// Even if a ticket did open, the peer behind it is verified again.
	next.policies[0].tickets = first.policies[0].tickets
	server.Swap(next)
	if out := connect(t, server.Config(nil), client); out.serverErr == nil || !strings.Contains(out.serverErr.Error(), "revoked") {
		t.Errorf("the revoked client: %v", out.serverErr)
	}
}

func TestPartialRevocationListsAreRefused(t *testing.T) {
	if _, err := parseCRLs([]byte("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n")); err == nil || !isTorn(err) {
		t.Errorf("garbage: %v", err)
	}
	ca := tlstest.NewCA(t, "CA")
	whole := ca.CRL(t, time.Now().Add(time.Hour))
	if _, err := parseCRLs(whole[:len(whole)/2]); err == nil || !isTorn(err) {
		t.Errorf("half a list: %v", err)
	}
	if _, err := parseCRLs(ca.PartialCRL(t)); err == nil || !strings.Contains(err.Error(), "complete list") {
		t.Errorf("a partial list: %v", err)
	}
}

// Clients that send no more than their own certificate need the CA that issued
// it in the file.
func TestAnIntermediateInTheFileIsRevokedByItsRoot(t *testing.T) {
	soon := time.Now().Add(time.Hour)
	root, other := tlstest.NewCA(t, "root"), tlstest.NewCA(t, "other root")
	below := root.Intermediate(t, "intermediate")
	deep := below.Intermediate(t, "deep")
	leaf := func(ca *tlstest.CA) (cert, key []byte) {
		cert, key = ca.Client(t, "client")
		block, _ := pem.Decode(cert)
		return pem.EncodeToMemory(block), key // without its intermediates
	}
	for _, c := range []struct {
		name   string
		trust  []*tlstest.CA
		issuer *tlstest.CA
		crl    [][]byte
		want   string
	}{
		{"good", []*tlstest.CA{root, below}, below, [][]byte{root.CRL(t, soon), below.CRL(t, soon)}, ""},
		{"revoked", []*tlstest.CA{root, below}, below, [][]byte{root.CRL(t, soon, below.PEM()), below.CRL(t, soon)}, "was revoked by"},
		{"revoked, in another order", []*tlstest.CA{below, other, root}, below, [][]byte{root.CRL(t, soon, below.PEM()), below.CRL(t, soon)}, "was revoked by"},
		{"no list of the root", []*tlstest.CA{root, below}, below, [][]byte{below.CRL(t, soon)}, "no revocation list of"},
		{"revoked two above", []*tlstest.CA{root, below, deep}, deep, [][]byte{root.CRL(t, soon, below.PEM()), below.CRL(t, soon), deep.CRL(t, soon)}, "was revoked by"},
		{"its root is not believed", []*tlstest.CA{below}, below, [][]byte{below.CRL(t, soon)}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMTLS(t, ClientAuthRequire)
			var trust []byte
			for _, ca := range c.trust {
				trust = append(trust, ca.PEM()...)
			}
			m.cfg.ClientAuth.CACert, m.cfg.ClientAuth.CRL = file(trust), file(bytes.Join(c.crl, nil))
			cert, key := leaf(c.issuer)
			err := connect(t, NewServer(snapshot(t, &m.cfg, nil)).Config(nil), m.client(t, pair(cert, key))).serverErr
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// The bundle of a Workload API may hold a CA that vouches for others, too.
func TestOnlyOurOwnTrustDomainIsLetInByABundle(t *testing.T) {
	ca := tlstest.NewCA(t, "corporate root")
	signing := tlstest.Template(t, "")
	signing.KeyUsage = x509.KeyUsageCertSign
	u, err := url.Parse("spiffe://example.org/ca")
	if err != nil {
		t.Fatal(err)
	}
	signing.URIs = []*url.URL{u}
	for _, c := range []struct {
		name string
		pair KeyPair
		want string
	}{
		{"ours", pair(ca.Client(t, "", "spiffe://example.org/client")), ""},
		{"another domain's", pair(ca.Client(t, "", "spiffe://evil.example/client")), "only example.org is believed"},
		{"two identities", pair(ca.Client(t, "", "spiffe://example.org/client", "spiffe://example.org/other")), "no SPIFFE identity"},
		{"no identity", pair(ca.Client(t, "client", "www.example.org")), "no SPIFFE identity"},
		{"one that signs", pair(ca.Issue(t, signing)), "may sign certificates"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMTLS(t, ClientAuthRequire)
			m.cfg.ClientAuth.CACert = delivered(ca.PEM())
			err := connect(t, NewServer(snapshot(t, &m.cfg, nil)).Config(nil), m.client(t, c.pair)).serverErr
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func FuzzCRLs(f *testing.F) {
	ca := tlstest.NewCA(f, "CA")
	f.Add(ca.CRL(f, time.Now(), ca.PEM()))
	f.Add(bytes.Repeat(derOf(ca.CRL(f, time.Now())), 2))
	f.Fuzz(func(t *testing.T, data []byte) {
		lists, err := parseCRLs(data)
		if err == nil && len(lists.lists) == 0 {
			t.Error("no error and no list")
		}
	})
}

func TestPolicyIsChosenByServerName(t *testing.T) {
	ca := tlstest.NewCA(t, "CA")
	open, partner := pair(ca.Server(t, "localhost")), pair(ca.Server(t, "partners.test", "*.partners.test"))
	cfg := ServerConfig{Certificates: []KeyPair{open}, Policies: []Policy{{
		Hosts: []string{"partners.test", "*.partners.test"}, Certificates: []KeyPair{partner}, MinVersion: "1.3",
		ClientAuth: &ClientAuth{Mode: ClientAuthRequire, CACert: file(ca.PEM())},
	}}}
	s := snapshot(t, &cfg, nil)
	server := NewServer(s).Config(nil)
	cert, key := ca.Client(t, "partner")
	identity := tlstest.Certificate(t, cert, key)
	for _, c := range []struct {
		sni        string
		identified bool
		version    uint16
		passes     bool
	}{
		{"localhost", false, cryptotls.VersionTLS12, true},
		{"", false, cryptotls.VersionTLS12, true},
		{"partners.test", false, cryptotls.VersionTLS13, false},
		{"a.Partners.test", false, cryptotls.VersionTLS13, false},
		{"a.b.partners.test", false, cryptotls.VersionTLS13, false},
		{"notpartners.test", false, cryptotls.VersionTLS13, true},
		{"partners.test", true, cryptotls.VersionTLS13, true},
		{"partners.test", true, cryptotls.VersionTLS12, false},
	} {
		client := &cryptotls.Config{ServerName: c.sni, InsecureSkipVerify: true, MaxVersion: c.version}
		if c.identified {
			client.Certificates = []cryptotls.Certificate{identity}
		}
		out := connect(t, server, client)
		if passed := out.clientErr == nil && out.serverErr == nil; passed != c.passes {
			t.Errorf("%+v: client %v, server %v", c, out.clientErr, out.serverErr)
		}
	}
	if s.SamePolicy("localhost", "partners.test") || !s.SamePolicy("x.partners.test", "partners.test") || !s.SamePolicy("", "localhost") {
		t.Error("names are said to belong to other policies than they do")
	}
}

// A policy that is there for another certificate opens nothing.
func TestAPolicyTakesWhatItLeavesOutFromTheListener(t *testing.T) {
	ca := tlstest.NewCA(t, "CA")
	cfg := ServerConfig{
		Certificates: []KeyPair{pair(ca.Server(t, "localhost"))},
		MinVersion:   "1.3",
		ClientAuth:   ClientAuth{Mode: ClientAuthRequire, CACert: file(ca.PEM())},
		Policies: []Policy{
			{Hosts: []string{"static.test"}, Certificates: []KeyPair{pair(ca.Server(t, "static.test"))}},
			{Hosts: []string{"open.test"}, ClientAuth: &ClientAuth{Mode: ClientAuthNone}},
		},
	}
	server := NewServer(snapshot(t, &cfg, nil)).Config(nil)
	cert, key := ca.Client(t, "client")
	identity := []cryptotls.Certificate{tlstest.Certificate(t, cert, key)}
	for _, c := range []struct {
		sni    string
		certs  []cryptotls.Certificate
		max    uint16
		passes bool
	}{
		{"static.test", nil, cryptotls.VersionTLS13, false},
		{"static.test", identity, cryptotls.VersionTLS13, true},
		{"static.test", identity, cryptotls.VersionTLS12, false},
		{"open.test", nil, cryptotls.VersionTLS13, true},
		{"open.test", nil, cryptotls.VersionTLS12, false},
	} {
		out := connect(t, server, &cryptotls.Config{ServerName: c.sni, InsecureSkipVerify: true, MaxVersion: c.max, Certificates: c.certs})
		if passed := out.clientErr == nil && out.serverErr == nil; passed != c.passes {
			t.Errorf("%s, %d certificates, %x: client %v, server %v", c.sni, len(c.certs), c.max, out.clientErr, out.serverErr)
		}
		if c.passes && c.sni == "open.test" && out.client.PeerCertificates[0].DNSNames[0] != "localhost" {
			t.Error("the listener's certificate is not shown")
		}
	}
}

// The tickets of an open policy are worth nothing on a strict one, whether it
// stands on the same listener or on another.
func TestTicketOfAnOpenPolicyDoesNotResumeOnAStrictOne(t *testing.T) {
	ca := tlstest.NewCA(t, "CA")
	strict := ClientAuth{Mode: ClientAuthRequest, CACert: file(ca.PEM())}
	cfg := ServerConfig{
		Certificates: []KeyPair{pair(ca.Server(t, "localhost", "partners.test"))},
		Policies:     []Policy{{Hosts: []string{"partners.test"}, ClientAuth: &strict}},
	}
	one := NewServer(snapshot(t, &cfg, nil)).Config(nil)
	other := NewServer(snapshot(t, &ServerConfig{Certificates: cfg.Certificates, ClientAuth: strict}, nil)).Config(nil)

	// crypto/tls keeps tickets by server name; this cache has one drawer.
	cache := &drawer{}
	client := &cryptotls.Config{ServerName: "localhost", RootCAs: ca.Pool(), ClientSessionCache: cache}
	mustConnect(t, one, client)
	if !mustConnect(t, one, client).client.DidResume {
		t.Fatal("nothing was resumed; the test shows nothing")
	}
	client = client.Clone()
	client.ServerName = "partners.test"
	if mustConnect(t, one, client).client.DidResume {
		t.Error("resumed on the strict policy of the same listener")
	}
	client.ServerName = "localhost"
	cache.state = nil
	mustConnect(t, one, client)
	if mustConnect(t, other, client).client.DidResume {
		t.Error("resumed on a strict listener")
	}
}

// drawer is a session cache that mixes up server names.
type drawer struct{ state *cryptotls.ClientSessionState }

func (d *drawer) Get(string) (*cryptotls.ClientSessionState, bool)  { return d.state, d.state != nil }
func (d *drawer) Put(_ string, state *cryptotls.ClientSessionState) { d.state = state }
