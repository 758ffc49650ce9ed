package acme

import (
	cryptotls "crypto/tls"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"

	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/tls"
)

func TestOnlyAPendingChallengeIsAnswered(t *testing.T) {
	g := newGateway(t)
	// No authority can be reached there, so no challenge comes of it.
	g.Commit(&Config{Directory: "https://127.0.0.1:1/dir", Storage: config.Path(t.TempDir())}, []string{name, "192.0.2.7"}, both)
	challenge := acme.Challenge{
		Type: ChallengeHTTP01, Token: "token", KeyAuthorization: "token.thumbprint",
		Identifier: acme.Identifier{Type: "dns", Value: name},
	}
	g.pending.http["token"] = challenge
	for _, c := range []struct {
		what, method, host, path string
		want                     bool
	}{
		{"the challenge", http.MethodGet, name, "/.well-known/acme-challenge/token", true},
		{"with a port and capitals", http.MethodGet, "Gateway.example.com:80", "/.well-known/acme-challenge/token", true},
		{"HEAD", http.MethodHead, name, "/.well-known/acme-challenge/token", true},
		{"another host", http.MethodGet, "other.example.com", "/.well-known/acme-challenge/token", false},
		{"another token", http.MethodGet, name, "/.well-known/acme-challenge/other", false},
		{"no token", http.MethodGet, name, "/.well-known/acme-challenge/", false},
		{"another path", http.MethodGet, name, "/token", false},
		{"another method", http.MethodPost, name, "/.well-known/acme-challenge/token", false},
		{"a host that is a path", http.MethodGet, "../../etc/passwd", "/.well-known/acme-challenge/x", false},
	} {
		r, w := httptest.NewRequest(c.method, "/", nil), httptest.NewRecorder()
		r.Host, r.URL.Path = c.host, c.path
		if got := g.HandleHTTP(w, r); got != c.want || !c.want && w.Body.Len() > 0 {
			t.Errorf("%s: answered %v with %q", c.what, got, w.Body)
		}
		if c.want && w.Body.String() != challenge.KeyAuthorization {
			t.Errorf("%s: answer %q", c.what, w.Body)
		}
	}
	for what, hello := range map[string]*cryptotls.ClientHelloInfo{
		"nothing pending":    {ServerName: name, SupportedProtos: []string{tls.ALPNChallenge}},
		"an ordinary client": {ServerName: name, SupportedProtos: []string{"h2", tls.ALPNChallenge}},
		"no ALPN":            {ServerName: name},
		"no name":            {SupportedProtos: []string{tls.ALPNChallenge}},
		"an address":         {ServerName: "7.2.0.192.in-addr.arpa", SupportedProtos: []string{tls.ALPNChallenge}},
	} {
		if cert, err := g.Challenge(hello); err == nil {
			t.Errorf("%s: answered with %v", what, cert)
		}
	}
}

// A gateway that was killed cannot take back what it has asked for.
func TestAStoredChallengeIsAnsweredForAWhile(t *testing.T) {
	cfg := &Config{Directory: "https://127.0.0.1:1/dir", Storage: config.Path(t.TempDir())}
	// The one that gets the lock removes it.
	held := hold(t, cfg, name)
	g := newGateway(t)
	g.Commit(cfg, []string{name}, both)
	data, err := json.Marshal(acme.Challenge{
		Type: ChallengeHTTP01, Token: "token", KeyAuthorization: "token.thumbprint", Identifier: acme.Identifier{Type: "dns", Value: name},
	})
	if err != nil {
		t.Fatal(err)
	}
	key := g.account.challengeKey(name)
	if err := g.account.storage.Store(t.Context(), key, data); err != nil {
		t.Fatal(err)
	}
	answered := func() bool {
		r := httptest.NewRequest(http.MethodGet, "/.well-known/acme-challenge/token", nil)
		r.Host = name
		return g.HandleHTTP(httptest.NewRecorder(), r)
	}
	if !answered() {
		t.Error("another gateway's challenge is not answered")
	}
	past := time.Now().Add(-2 * challengeLife)
	if err := os.Chtimes(g.account.storage.Filename(key), past, past); err != nil {
		t.Fatal(err)
	}
	if answered() {
		t.Error("a challenge of long ago is answered")
	}
	held.Release()
	g.await("failed " + name)
	if g.account.storage.Exists(t.Context(), key) {
		t.Error("the next order leaves it in the storage")
	}
}

// Only TLS-ALPN-01 asks for an address by its reverse name.
func TestNoReverseNameIsLookedForOverHTTP(t *testing.T) {
	g := newGateway(t)
	g.Commit(&Config{Directory: "https://127.0.0.1:1/dir", Storage: config.Path(t.TempDir())}, []string{"192.0.2.7"}, both)
	const reverse = "7.2.0.192.in-addr.arpa"
	// A stored challenge of that name shows whether the storage is read.
	stored := acme.Challenge{Type: ChallengeHTTP01, Token: "token", KeyAuthorization: "token.thumbprint", Identifier: acme.Identifier{Type: "ip", Value: reverse}}
	data, err := json.Marshal(stored)
	if err == nil {
		err = g.account.storage.Store(t.Context(), g.account.challengeKey(reverse), data)
	}
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/.well-known/acme-challenge/token", nil)
	r.Host = reverse
	if g.HandleHTTP(httptest.NewRecorder(), r) {
		t.Error("the storage was read for a reverse name")
	}
}

func TestAnOrderThatLostItsLockLeavesTheChallengeOfTheNextAlone(t *testing.T) {
	a := accountOf(t, &Config{Directory: "https://127.0.0.1:1/dir", Storage: config.Path(t.TempDir())})
	lost := acme.Challenge{Type: ChallengeHTTP01, Token: "lost", Identifier: acme.Identifier{Type: "dns", Value: name}}
	next := lost
	next.Token = "next"
	s := &solver{a}
	if err := errors.Join(s.Present(t.Context(), lost), s.Present(t.Context(), next), s.CleanUp(t.Context(), lost)); err != nil {
		t.Fatal(err)
	}
	if stored, err := a.loadChallenge(t.Context(), name); err != nil || stored.Token != next.Token {
		t.Errorf("stored is the challenge %q, %v", stored.Token, err)
	}
	if err := s.CleanUp(t.Context(), next); err != nil || a.storage.Exists(t.Context(), a.challengeKey(name)) {
		t.Errorf("its own is left: %v", err)
	}
}

func TestAnAddressIsAskedForByItsReverseName(t *testing.T) {
	for name, want := range map[string]string{
		"Example.com": "example.com",
		"192.0.2.7":   "7.2.0.192.in-addr.arpa",
		"2001:db8::1": "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
	} {
		if got := reverseName(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func FuzzStoredChallenge(f *testing.F) {
	for _, challenge := range []acme.Challenge{
		{Type: ChallengeHTTP01, Token: "token", KeyAuthorization: "token.thumbprint", Identifier: acme.Identifier{Type: "dns", Value: name}},
		{Type: ChallengeTLSALPN01, Token: "token", KeyAuthorization: "token.thumbprint", Identifier: acme.Identifier{Type: "dns", Value: "Gateway.example.com"}},
		{Type: ChallengeTLSALPN01, Token: "token", KeyAuthorization: "token.thumbprint", Identifier: acme.Identifier{Type: "dns", Value: "other.example.com"}},
		{Type: ChallengeTLSALPN01, Token: "token", KeyAuthorization: "token.thumbprint", Identifier: acme.Identifier{Type: "ip", Value: "192.0.2.7"}},
	} {
		data, err := json.Marshal(challenge)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, asked := range []string{name, "192.0.2.7"} {
			incoming := reverseName(asked)
			challenge, err := parseChallenge(data, incoming)
			if err != nil || challenge.Type != ChallengeTLSALPN01 {
				continue
			}
			cert, err := acmez.TLSALPN01ChallengeCert(challenge)
			if err == nil && cert.Leaf.VerifyHostname(asked) != nil {
				t.Errorf("%s is answered with a certificate of %v, %v", asked, cert.Leaf.DNSNames, cert.Leaf.IPAddresses)
			}
		}
	})
}
