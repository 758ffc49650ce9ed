package acme

import (
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/tls/acme/acmetest"
)

// The certificate lives for 90 days, and the authority changes its mind, as it
// does before it revokes many.
func TestTheAuthoritySaysWhenACertificateIsRenewed(t *testing.T) {
	t.Parallel()
	p, g, cfg := withAuthority(t, acmetest.Options{})
	g.timing.renewalGap, g.timing.floor = 0, 0
	k := loadedRenewer(g.Manager, accountFor(t, g, cfg), name)
	k.step()
	g.await("obtained " + name)
	first := k.own.leaf()
	if k.own.renewal == nil || !k.own.renewal.HasWindow() || time.Until(k.due()) < 24*time.Hour {
		t.Fatalf("renewal information %+v, due in %v", k.own.renewal, time.Until(k.due()))
	}

	now := time.Now()
	p.SuggestRenewal(first, now.Add(-2*time.Hour), now.Add(-time.Hour))
	k.step()
	if time.Until(k.due()) < 24*time.Hour {
		t.Error("the authority was asked before the time that it said")
	}
	k.askAgain = now // as if that time had come
	k.step()
	if time.Until(k.due()) > 0 {
		t.Fatalf("due in %v", time.Until(k.due()))
	}
	k.step()
	g.await("renewed " + name)
	if k.own.leaf().Equal(first) || p.Issued() != 2 {
		t.Error("the certificate was not renewed")
	}
	if n := strings.Count(p.Log(), "is a replacement of"); n != 1 {
		t.Errorf("%d orders name the certificate that they replace", n)
	}
}

func TestAStoredWindowHoldsWithoutTheAuthority(t *testing.T) {
	t.Parallel()
	p, g := acmetest.Start(t, acmetest.Options{}), newGateway(t)
	g.listen(p)
	cfg := alwaysDue(t, p, t.TempDir())
	loadedRenewer(g.Manager, accountFor(t, g, cfg), name).step()
	g.await("obtained " + name)
	p.Stop()
	g.timing.renewalGap, g.timing.floor = 0, 0
	if k := loadedRenewer(g.Manager, accountFor(t, g, cfg), name); time.Until(k.due()) > 0 {
		t.Errorf("the renewal is due in %v", time.Until(k.due()))
	}
}
