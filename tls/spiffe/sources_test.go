package spiffe_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mcpgateway/mcpgateway/tls/spiffe"
	"github.com/mcpgateway/mcpgateway/tls/spiffe/spiffetest"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

func TestFirstDeliveryIsWaitedFor(t *testing.T) {
	f := newFixture(t)
	f.ca = f.ca.Intermediate(t, "intermediate")
	first := issue(t, f.ca, gatewayID)
	if bytes.Count(first.cert, []byte("BEGIN")) != 2 {
		t.Fatal("the chain is short")
	}
	set(f.agent, first)
	first.check(t, f.get(t))
	tlstest.Certificate(t, f.get(t).Cert.Data, f.get(t).Key.Data)

	path := strings.TrimPrefix(f.agent.Socket, "unix://")
	m, err := f.Get(patiently(t), path)
	if err != nil || m != f.get(t) {
		t.Errorf("the path alone got %v, %v; want the material of the same watch", m, err)
	}
	if n := len(f.updated); n != 1 {
		t.Errorf("%d updates, want 1", n)
	}
	if len(f.changed) > 0 {
		t.Error("changed was called for what Get returned")
	}
}

func TestRotationIsToldOnceAndEqualDeliveriesAreNot(t *testing.T) {
	f := newFixture(t)
	first, second := issue(t, f.ca, gatewayID), issue(t, f.ca, gatewayID)
	set(f.agent, first)
	old := f.get(t)

	set(f.agent, first)
	set(f.agent, first)
	set(f.agent, second)
	await(t, f.changed, "the call of changed")
	second.check(t, f.get(t))
	first.check(t, old) // immutable

	// Every delivery is sent and read in turn, so that the third proves that
	// there was nothing about the equal ones before it.
	third := issue(t, f.ca, "spiffe://example.org/other")
	set(f.agent, second)
	set(f.agent, third)
	await(t, f.changed, "the second call of changed")
	third.check(t, f.get(t))
	for _, want := range []string{gatewayID, gatewayID, third.id} {
		if got := await(t, f.updated, "the update"); got != want {
			t.Errorf("updated to %s, want %s", got, want)
		}
	}
	if len(f.updated)+len(f.changed) > 0 {
		t.Errorf("%d updates and %d calls of changed too many", len(f.updated), len(f.changed))
	}
}

func TestNewCAIsAChange(t *testing.T) {
	f := newFixture(t)
	one := issue(t, f.ca, gatewayID)
	set(f.agent, one)
	f.get(t)
	one.bundle = append(bytes.Clone(one.bundle), tlstest.NewCA(t, "next").PEM()...)
	set(f.agent, one)
	await(t, f.changed, "the call of changed")
	one.check(t, f.get(t))
}

func TestAgentThatIsDownAtFirstIsFoundLater(t *testing.T) {
	f := newFixture(t)
	f.agent.Stop()
	ctx, cancel := context.WithCancelCause(t.Context())
	over := errors.New("time is up")
	go func() {
		<-f.failed
		cancel(over)
	}()
	_, err := f.Get(ctx, f.agent.Socket)
	if !errors.Is(err, over) || status.Code(err) != codes.Unavailable {
		t.Errorf("error does not wrap the cause and the last failure: %v", err)
	}
	for _, want := range []string{
		f.agent.Socket, "no such file", "see that the agent runs", "registration entry", "time is up",
		fmt.Sprintf("this process (uid %d, pid %d) may use the socket", os.Getuid(), os.Getpid()),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not say %q", err, want)
		}
	}

	first := issue(t, f.ca, gatewayID)
	set(f.agent, first)
	f.agent.Restart()
	await(t, f.changed, "the call of changed after Get had failed")
	first.check(t, f.get(t))
}

func TestAgentWithoutEntryIsAskedAgain(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-f.failed
		cancel()
	}()
	if _, err := f.Get(ctx, f.agent.Socket); err == nil || !strings.Contains(err.Error(), "no identity issued") {
		t.Errorf("error is %v, want the agent's reason", err)
	}
	first := issue(t, f.ca, gatewayID)
	set(f.agent, first)
	first.check(t, f.get(t))
}

func TestRestartedAgentKeepsTheOldAndDeliversTheNew(t *testing.T) {
	f := newFixture(t)
	first, second := issue(t, f.ca, gatewayID), issue(t, f.ca, gatewayID)
	set(f.agent, first)
	f.get(t)

	f.agent.Stop()
	await(t, f.failed, "the loss of the agent")
	first.check(t, f.get(t))
	f.agent.Restart()
	set(f.agent, second)
	await(t, f.changed, "the call of changed")
	second.check(t, f.get(t))
	if len(f.changed) > 0 {
		t.Error("changed was called for what the agent had delivered before")
	}

	f.agent.Revoke()
	await(t, f.failed, "the loss of the entry")
	second.check(t, f.get(t))
}

func TestFederatedBundlesStayOut(t *testing.T) {
	f := newFixture(t)
	foreign := tlstest.NewCA(t, "foreign")
	f.agent.SetFederated("spiffe://other.org", foreign.PEM())
	f.agent.SetFederated("spiffe://example.org", foreign.PEM()) // under our own name
	f.agent.SetFederated("no trust domain", nil)
	first := issue(t, f.ca, gatewayID)
	set(f.agent, first)
	first.check(t, f.get(t))
}

func TestBadDeliveryIsRefusedAndKeepsTheLast(t *testing.T) {
	f := newFixture(t)
	good := issue(t, f.ca, gatewayID)
	set(f.agent, good)
	f.get(t)
	last := good
	for want, spoil := range map[string]func(*identity){
		"at most 1048576 are accepted": func(i *identity) { i.bundle = bytes.Repeat(i.bundle, 1<<20/len(i.bundle)+1) },
		"holds no CA":                  func(i *identity) { i.bundle = nil },
		"is of another trust domain":   func(i *identity) { i.id = "spiffe://other.org/gateway" },
		"does not match private key":   func(i *identity) { i.key = issue(t, f.ca, gatewayID).key },
		"digitalSignature":             func(i *identity) { i.cert, i.key = f.ca.Client(t, "", gatewayID) },
	} {
		bad := issue(t, f.ca, gatewayID)
		spoil(&bad)
		set(f.agent, bad)
		if err := await(t, f.failed, "the failure that "+want); !strings.Contains(err.Error(), want) {
			t.Errorf("failed with %q, want %q", err, want)
		}
		last.check(t, f.get(t))
		last = issue(t, f.ca, gatewayID)
		set(f.agent, last)
		await(t, f.changed, "the call of changed")
		last.check(t, f.get(t))
	}
}

func TestKeepEndsTheOthersOnly(t *testing.T) {
	f := newFixture(t)
	leaks := goleak.IgnoreCurrent() // nothing is watched yet
	other := spiffetest.Start(t)
	one, two := issue(t, f.ca, gatewayID), issue(t, f.ca, "spiffe://example.org/two")
	set(f.agent, one)
	set(other, two)
	f.get(t)
	m, err := f.Get(patiently(t), other.Socket)
	if err != nil {
		t.Fatal(err)
	}
	two.check(t, m)

	f.Keep([]string{strings.TrimPrefix(f.agent.Socket, "unix://")})
	set(other, issue(t, f.ca, "spiffe://example.org/late"))
	one = issue(t, f.ca, gatewayID)
	set(f.agent, one)
	await(t, f.changed, "the call of changed by the one that was kept")
	one.check(t, f.get(t))

	f.Keep(nil)
	other.Stop()
	f.agent.Stop()
	f.Close()
	if err := goleak.Find(leaks); err != nil {
		t.Error(err)
	}
	if _, err := f.Get(t.Context(), f.agent.Socket); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("Get after Close: %v", err)
	}
}

func TestKeepReleasesWhoWaits(t *testing.T) {
	f := newFixture(t)
	got := make(chan error)
	go func() {
		_, err := f.Get(t.Context(), f.agent.Socket)
		got <- err
	}()
	await(t, f.failed, "the denial") // so the watch runs
	f.Keep(nil)
	if err := await(t, got, "the end of Get"); err == nil {
		t.Error("Get returned material of a watch that was ended")
	}
}

func TestChangedMayCallBack(t *testing.T) {
	agent, ca := spiffetest.Start(t), tlstest.NewCA(t, "example.org")
	got := make(chan string, 1)
	var s *spiffe.Sources
	s = spiffe.NewSources(func() {
		m, err := s.Get(t.Context(), agent.Socket)
		s.Keep(nil)
		if err == nil {
			got <- m.ID.String()
		}
	}, nil)
	defer s.Close()
	set(agent, issue(t, ca, gatewayID))
	if _, err := s.Get(patiently(t), agent.Socket); err != nil {
		t.Fatal(err)
	}
	set(agent, issue(t, ca, "spiffe://example.org/two"))
	if id := await(t, got, "the call of changed"); id != "spiffe://example.org/two" {
		t.Errorf("changed got %s", id)
	}
}

// What another socket delivers is no reason to tell again what has been told.
func TestADeliveryIsToldOnceThoughItIsNotFetched(t *testing.T) {
	f := newFixture(t)
	other := spiffetest.Start(t)
	set(f.agent, issue(t, f.ca, gatewayID))
	f.get(t)
	set(f.agent, issue(t, f.ca, gatewayID))
	await(t, f.changed, "the call of changed")

	set(other, issue(t, f.ca, gatewayID))
	if _, err := f.Get(patiently(t), other.Socket); err != nil {
		t.Fatal(err)
	}
	last := issue(t, f.ca, gatewayID)
	set(other, last)
	await(t, f.changed, "the call of changed for the other socket")
	f.Close()
	if n := len(f.changed); n > 0 {
		t.Errorf("changed was called %d times more than there was news", n)
	}
}
