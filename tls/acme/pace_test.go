package acme

import (
	cryptotls "crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/tls/acme/acmetest"
)

// alwaysDue stands before an authority, and says of every certificate that its
// time to be renewed is over. It returns the configuration to go through it.
func alwaysDue(t *testing.T, p *acmetest.Pebble, storage string) *Config {
	t.Helper()
	target, err := url.Parse(p.Directory)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(p.CA)
	transport := &http.Transport{TLSClientConfig: &cryptotls.Config{RootCAs: roots}}
	behind := &httputil.ReverseProxy{
		Transport: transport,
		// The host stays, so that all addresses lead here.
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "https", target.Host },
	}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(strings.ToLower(r.URL.Path), "renewalinfo") {
			behind.ServeHTTP(w, r)
			return
		}
		now := time.Now()
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"suggestedWindow": map[string]time.Time{
			"start": now.Add(-2 * time.Hour), "end": now.Add(-time.Hour),
		}})
	}))
	t.Cleanup(func() {
		server.Close()
		transport.CloseIdleConnections()
	})
	cfg := configFor(t, p, storage)
	cfg.Directory = server.URL + "/dir"
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	cfg.CACert = config.File{Path: "ca", Data: ca}
	return cfg
}

func TestGatewaysThatShareAStorageDoNotRenewByTurns(t *testing.T) {
	t.Parallel()
	p, g := acmetest.Start(t, acmetest.Options{}), newGateway(t)
	g.listen(p)
	cfg := alwaysDue(t, p, t.TempDir())
	var renewers []*renewer
	for range 2 {
		renewers = append(renewers, loadedRenewer(g.Manager, accountFor(t, g, cfg), name))
	}
	for range 3 {
		for _, k := range renewers {
			k.step()
		}
	}
	if n := p.Issued(); n != 1 {
		t.Errorf("%d certificates were issued", n)
	}
	for _, k := range renewers {
		if wait := time.Until(k.due()); wait < 50*time.Minute || wait > time.Hour {
			t.Errorf("the next renewal comes after %v", wait)
		}
	}
}

func TestARestartDoesNotRenewWhatWasJustObtained(t *testing.T) {
	t.Parallel()
	p, g := acmetest.Start(t, acmetest.Options{}), newGateway(t)
	g.listen(p)
	cfg := alwaysDue(t, p, t.TempDir())
	loadedRenewer(g.Manager, accountFor(t, g, cfg), name).step()
	k := loadedRenewer(g.Manager, accountFor(t, g, cfg), name)
	for range 2 { // the first asks when it is due
		k.step()
	}
	if n := p.Issued(); n != 1 {
		t.Errorf("%d certificates were issued", n)
	}
}

// By a clock that is ahead, certificates have expired when they come.
func TestACertificateThatComesExpiredIsAnErrorAndServes(t *testing.T) {
	t.Parallel()
	_, g, cfg := withAuthority(t, acmetest.Options{Validity: time.Second})
	g.Commit(cfg, []string{name}, both)
	g.await("failed " + name)
	s := g.Status()[0]
	if s.LastError == nil || !strings.Contains(s.LastError.Error(), "clock") {
		t.Errorf("error %v", s.LastError)
	}
	if wait := time.Until(s.NextTry); wait < g.timing.floor/2 {
		t.Errorf("the next order comes after %v", wait)
	}
	if _, err := g.Certificate(name); err != nil {
		t.Errorf("those whose clock is right get no certificate: %v", err)
	}
}

func TestACertificateThatComesExpiredReplacesNoneThatIsInDate(t *testing.T) {
	t.Parallel()
	from, g := acmetest.Start(t, acmetest.Options{}), newGateway(t)
	g.listen(from)
	to := acmetest.Start(t, acmetest.Options{HTTPPort: from.HTTPPort, TLSPort: from.TLSPort, Validity: time.Second})
	storage := t.TempDir()
	g.Commit(configFor(t, from, storage), []string{name}, both)
	g.await("obtained " + name)
	first := g.leaf(name)
	g.Commit(configFor(t, to, storage), []string{name}, both)
	g.await("failed " + name)
	if err := g.lastError(name); err == nil || !strings.Contains(err.Error(), "clock") {
		t.Errorf("error %v", err)
	}
	if !g.leaf(name).Equal(first) {
		t.Error("it serves instead of one that is in date")
	}
}
