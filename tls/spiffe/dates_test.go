package spiffe_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/tls/spiffe/spiffetest"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// issueFor is issue with another validity.
func issueFor(t *testing.T, ca *tlstest.CA, id string, from, to time.Time) identity {
	t.Helper()
	template := spiffetest.Template(t, tlstest.Template(t, ""), id)
	template.NotBefore, template.NotAfter = from, to
	cert, key := ca.Issue(t, template)
	return identity{id, cert, key, ca.PEM()}
}

// authority is the certificate of a CA, signed by another.
func authority(t *testing.T, ca *tlstest.CA, cn string, from, to time.Time) []byte {
	t.Helper()
	template := tlstest.Template(t, cn)
	template.NotBefore, template.NotAfter, template.IsCA, template.BasicConstraintsValid = from, to, true, true
	template.KeyUsage = ca.Cert.KeyUsage
	cert, _ := ca.Issue(t, template)
	return cert
}

func TestDeliveryOutOfDateIsRefusedAndKeepsTheLast(t *testing.T) {
	f := newFixture(t)
	good := issue(t, f.ca, gatewayID)
	set(f.agent, good)
	f.get(t)
	now := time.Now()
	past, future := now.Add(-time.Minute), now.Add(2*time.Hour)
	from, to := now.Add(-time.Hour), now.Add(time.Hour)
	expired, next := authority(t, f.ca, "last", from, past), authority(t, f.ca, "next", now.Add(time.Hour), future)
	leaf, _ := f.ca.Client(t, "leaf")
	last := good
	for want, spoil := range map[string]func(*identity){
		"the certificate of " + gatewayID + " expired on":                   func(i *identity) { *i = issueFor(t, f.ca, gatewayID, from, past) },
		"the certificate of " + gatewayID + " is not valid before":          func(i *identity) { *i = issueFor(t, f.ca, gatewayID, to, future) },
		`the intermediate "CN=last" of ` + gatewayID + " expired on":        func(i *identity) { i.cert = append(i.cert, expired...) },
		`the intermediate "CN=next" of ` + gatewayID + " is not valid":      func(i *identity) { i.cert = append(i.cert, next...) },
		`trust domain example.org none is in date; "CN=last" expired on`:    func(i *identity) { i.bundle = append(bytes.Clone(leaf), expired...) },
		`trust domain example.org none is in date; "CN=next" is not valid`:  func(i *identity) { i.bundle = append(bytes.Clone(next), expired...) },
		"the bundle of trust domain example.org holds no CA; look at the a": func(i *identity) { i.bundle = leaf },
	} {
		bad := issue(t, f.ca, gatewayID)
		spoil(&bad)
		set(f.agent, bad)
		if err := await(t, f.failed, "the failure that "+want); !strings.Contains(err.Error(), want) {
			t.Errorf("failed with %q, want %q", err, want)
		}
		last.check(t, f.get(t))
		last = issue(t, f.ca, gatewayID)
		last.bundle = append(append(bytes.Clone(expired), next...), f.ca.PEM()...) // one is enough
		set(f.agent, last)
		await(t, f.changed, "the call of changed")
		last.check(t, f.get(t))
	}
}

func TestFirstDeliveryOutOfDateIsNoDelivery(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-f.failed
		cancel()
	}()
	set(f.agent, issueFor(t, f.ca, gatewayID, time.Now().Add(-time.Hour), time.Now().Add(-time.Minute)))
	if _, err := f.Get(ctx, f.agent.Socket); err == nil || !strings.Contains(err.Error(), "expired on") {
		t.Errorf("error is %v, want the reason", err)
	}
}

func TestClockThatIsALittleBehindIsForgiven(t *testing.T) {
	f := newFixture(t)
	first := issueFor(t, f.ca, gatewayID, time.Now().Add(50*time.Second), time.Now().Add(time.Hour))
	set(f.agent, first)
	first.check(t, f.get(t))
	if len(f.failed) > 0 {
		t.Error(<-f.failed)
	}
}

// Agents deliver an SVID once, so it must not be lost for coming too early.
func TestEarlyDeliveryIsTakenInItsTimeUnlessAnotherCame(t *testing.T) {
	f := newFixture(t)
	set(f.agent, issue(t, f.ca, gatewayID))
	f.get(t)
	begins := time.Now().Add(time.Minute + 3*time.Second)
	set(f.agent, issueFor(t, f.ca, gatewayID, begins, begins.Add(time.Hour)))
	await(t, f.failed, "the first look")
	good := issue(t, f.ca, gatewayID)
	set(f.agent, good)
	await(t, f.changed, "the call of changed")
	good.check(t, f.get(t))
	last := issueFor(t, f.ca, gatewayID, begins.Add(time.Second), begins.Add(time.Hour))
	set(f.agent, last)
	await(t, f.failed, "the first look at the last")
	await(t, f.changed, "the call of changed in its time")
	last.check(t, f.get(t))
	if n := len(f.updated); n != 3 {
		t.Errorf("%d updates, want 3: all but the one that was given up", n)
	}
}
