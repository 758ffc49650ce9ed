package session

import (
	"net/http"
	"testing"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// The route goes after the session of one call has been kept, and before the call
// looks for a generation that did not find it.
func TestKeptSessionIsNotEndedWhileAnotherCallUsesIt(t *testing.T) {
	f := newFront(t, nil, newScript(t, func(http.ResponseWriter, *http.Request, *jsonrpc.Message) {}))
	from := f.from()
	from.Principal = filter.Principal{Kind: filter.JWT, Issuer: "test", Subject: "ann"}
	init := from.Route.OwnInit(spec.NewestLegacy)
	first, err := from.borrow(init)
	if err != nil {
		t.Fatal(err)
	}
	f.all.admission.mu.Lock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.all.giveBack(first.session)
	}()
	locked := 0
	testkit.Eventually(t, "the session is about to be kept", func() bool {
		if first.life.mu.TryLock() {
			first.life.mu.Unlock()
			locked = 0
		} else {
			locked++ // for longer than by the end of a use
		}
		return locked == 5
	})
	f.all.mu.Lock()
	f.all.admission.mu.Unlock()
	testkit.Eventually(t, "it is kept", func() bool { return len(f.all.admission.allKept()) == 1 })
	second, err := from.borrow(init)
	if err != nil || second != first {
		t.Errorf("the next call gets another session, %v", err)
	}
	f.all.current = nil
	f.all.mu.Unlock()
	<-done
	if second.life.ctx.Err() != nil {
		t.Error("the session was ended while a call was using it")
	}
	f.all.giveBack(second.session)
	if n := f.all.Stats(); len(n) != 0 {
		t.Errorf("a session of a route that has gone is kept: %+v", n)
	}
}
