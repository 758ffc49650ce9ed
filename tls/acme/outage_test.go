package acme

import (
	"errors"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/tls/acme/acmetest"
)

// short is a validity that is renewed within seconds; half of it passes first.
const short = 12 * time.Second

func TestAnAuthorityThatComesUpLaterIsAskedAgain(t *testing.T) {
	t.Parallel()
	p, g, cfg := withAuthority(t, acmetest.Options{})
	p.Stop()
	g.Commit(cfg, []string{name}, both)
	if _, err := g.Certificate(name); !errors.Is(err, errUnderWay) {
		t.Errorf("before any attempt the error is %v", err)
	}
	g.await("failed " + name)
	g.await("failed " + name)
	s := g.Status()[0]
	if s.Leaf != nil || s.LastError == nil || s.NextTry.IsZero() {
		t.Errorf("status of a name that was not obtained: %+v", s)
	}
	if _, err := g.Certificate(name); !errors.Is(err, s.LastError) {
		t.Errorf("the error %v does not say why: %v", err, s.LastError)
	}
	p.Restart()
	g.await("obtained " + name)
	g.handshake(name, p.Roots())
}

func TestACertificateIsRenewedInTime(t *testing.T) {
	t.Parallel()
	p, g, cfg := withAuthority(t, acmetest.Options{Validity: short})
	g.Commit(cfg, []string{name}, both)
	g.await("obtained " + name)
	first, changes := g.leaf(name), g.Changes()
	g.await("renewed " + name)
	second := g.handshake(name, p.Roots())
	if second.Equal(first) || !second.NotAfter.After(first.NotAfter) {
		t.Error("the renewed certificate is not served")
	}
	if g.Changes() == changes {
		t.Error("the change is not counted")
	}
}

func TestTheOldCertificateServesWhileTheAuthorityIsDown(t *testing.T) {
	t.Parallel()
	p, g, cfg := withAuthority(t, acmetest.Options{Validity: short})
	g.Commit(cfg, []string{name}, both)
	g.await("obtained " + name)
	first := g.leaf(name)
	p.Stop()
	g.await("failed " + name)
	if !g.leaf(name).Equal(first) {
		t.Error("a renewal that failed took the certificate away")
	}
	if s := g.Status()[0]; s.LastError == nil || !s.Leaf.Equal(first) {
		t.Errorf("status %+v", s)
	}
	// It has forgotten the account, and what is replaced.
	p.Restart()
	g.await("renewed " + name)
	g.handshake(name, p.Roots())
	if err := g.lastError(name); err != nil {
		t.Errorf("after a success the last error is still %v", err)
	}
}

func TestAStoredCertificateServesWithoutTheAuthority(t *testing.T) {
	t.Parallel()
	p, g, cfg := withAuthority(t, acmetest.Options{})
	g.Commit(cfg, []string{name}, both)
	g.await("obtained " + name)
	first := g.leaf(name)
	g.Close()
	p.Stop()

	next := newGateway(t)
	next.Commit(cfg, []string{name}, both)
	if !next.leaf(name).Equal(first) { // without waiting for anything
		t.Error("another certificate is served than the stored one")
	}
	next.await("loaded " + name)
}

func TestCloseEndsAnAttemptThatWaits(t *testing.T) {
	t.Parallel()
	p, g := acmetest.Start(t, acmetest.Options{}), newGateway(t)
	p.Stop()
	g.timing.retry, g.timing.longest = time.Hour, time.Hour
	g.Commit(configFor(t, p, t.TempDir()), []string{name}, both)
	g.await("failed " + name)
	g.Close() // goleak sees to the rest
	g.Commit(configFor(t, p, t.TempDir()), []string{"late.example.com"}, both)
	if len(g.Status()) != 1 {
		t.Error("a closed manager took a name")
	}
}
