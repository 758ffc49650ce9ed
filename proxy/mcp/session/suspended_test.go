package session

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/slot"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// The race detector sees what is wrong here.
func TestSuspendedCallIsTakenUpWhileItsTimeRunsOut(t *testing.T) {
	all := NewRegistry(Options{})
	defer all.Close(within(t))
	route := &Route{Settings: Settings{Timeouts: Timeouts{ServerRequest: time.Nanosecond}}}
	k := &suspended{c: &call{route: route}, id: "one"}
	if !all.suspensions.add(k) {
		t.Fatal("there is no room")
	}
	k.mu.Lock()
	k.id = "two"
	k.mu.Unlock()
	testkit.Eventually(t, "the first time runs out", func() bool {
		all.suspensions.mu.Lock()
		defer all.suspensions.mu.Unlock()
		return all.suspensions.byID["one"] == nil
	})
}

func TestSuspendedCallsOfOneLockNoOtherOut(t *testing.T) {
	all := NewRegistry(Options{})
	defer all.Close(within(t))
	route := &Route{Settings: Settings{Timeouts: Timeouts{ServerRequest: time.Hour}}}
	canceled := map[string]bool{}
	park := func(principal string, n int) bool {
		id := fmt.Sprint(principal, n)
		c := &call{route: route, clock: clock{cancel: func(error) { canceled[id] = true }}}
		return all.suspensions.add(&suspended{c: c, principal: principal, id: id})
	}
	for i := range 2 * suspendedLimit {
		if !park(anonymousKey, i) || !park("robot", i) {
			t.Fatalf("call %d is not kept", i)
		}
	}
	if n := all.suspensions.byPrincipal["robot"]; n != suspendedShare || len(all.suspensions.byID) != suspendedLimit {
		t.Errorf("%d calls of one principal are kept, %d in all", n, len(all.suspensions.byID))
	}
	last := 2*suspendedLimit - 1
	if !canceled["robot0"] || canceled[fmt.Sprint("robot", last)] || !canceled[anonymousKey+"0"] || canceled[fmt.Sprint(anonymousKey, last)] {
		t.Error("others than those suspended longest were given up")
	}
	for i := range suspendedShare {
		if !park("ann", i) || canceled[fmt.Sprint("ann", i)] {
			t.Fatalf("call %d of another principal is not kept", i)
		}
	}
}

func TestEndedSessionIsNotKeptForSingleCalls(t *testing.T) {
	f := newFront(t, nil, newScript(t, func(http.ResponseWriter, *http.Request, *jsonrpc.Message) {}))
	from := f.from()
	from.Principal = filter.Principal{Kind: filter.JWT, Issuer: "test", Subject: "ann"}
	s, err := from.borrow(from.Route.OwnInit(spec.NewestLegacy))
	if err != nil {
		t.Fatal(err)
	}
	s.end("upstream_changed", slot.ErrChanged)
	f.all.giveBack(s.session)
	if n := len(f.all.admission.kept); n != 0 {
		t.Errorf("%d ended sessions are kept", n)
	}
	if n := f.all.Stats(); len(n) != 0 {
		t.Errorf("counted: %+v", n)
	}
}
