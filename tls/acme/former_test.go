package acme

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// The authority was changed, and does not answer yet, when the gateway restarts.
func TestWhatAFormerAuthorityIssuedServesAfterARestart(t *testing.T) {
	var status, asked atomic.Int32
	cfg, leaf := stored(t, &status, &asked)
	ca := tlstest.NewCA(t, "another")
	for issuer, lifetime := range map[string]time.Duration{
		"https://older.example.com/dir":   30 * 24 * time.Hour,
		"https://expired.example.com/dir": -time.Minute,
		"https://to-come.example.com/dir": 30 * 24 * time.Hour,
	} {
		template := tlstest.Template(t, name)
		template.DNSNames = []string{name}
		template.NotBefore, template.NotAfter = leaf.NotBefore.Add(-time.Hour), time.Now().Add(lifetime)
		if issuer == "https://to-come.example.com/dir" {
			template.NotBefore = time.Now().Add(time.Hour)
		}
		chain, key := ca.Issue(t, template)
		other := *cfg
		other.Directory = issuer
		storePair(t, &other, chain, key)
	}
	broken := *cfg
	broken.Directory = "https://broken.example.com/dir"
	storePair(t, &broken, nil, nil)

	next := *cfg
	next.Directory = "https://127.0.0.1:2/dir" // no authority is there
	g := newGateway(t)
	g.Commit(&next, []string{name}, both)
	if !g.leaf(name).Equal(leaf) {
		t.Errorf("a certificate serves that is good from %v to %v", g.leaf(name).NotBefore, g.leaf(name).NotAfter)
	}
	g.await("loaded " + name)
	g.await("failed " + name) // it is no reason not to order one
	if !g.leaf(name).Equal(leaf) {
		t.Error("the failure of the new authority took the certificate away")
	}

	g.Commit(&broken, []string{name}, both)
	if !g.leaf(name).Equal(leaf) {
		t.Error("a reload took the certificate away")
	}
}
