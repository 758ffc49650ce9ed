package mcp

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

func TestSessionThatCrashesItsProcessDelaysNoOther(t *testing.T) {
	const others = 6
	b := stdio("alpha")
	b.tune = func(c *clusters.Config) { c.MaxProcesses = 2 * others }
	g := newGateway(t, nil, b)
	id := g.initialize()
	die := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"die","arguments":{}}}`
	refused := func() bool {
		_, body := g.post(die, spec.HeaderSession, id)
		return strings.Contains(body, "could not be reached")
	}
	// The second start waits for a moment, the third one is refused, unless so
	// much time has passed that it only waits too: the delay doubles until one
	// is refused.
	crashes, delayed := 0, time.Time{}
	for began := time.Now(); !refused(); began = time.Now() {
		if crashes++; crashes == 8 {
			t.Fatal("the session that crashes its process is never delayed")
		}
		delayed = began.Add(time.Second << (crashes - 1))
	}
	if crashes < 2 {
		t.Errorf("the session was refused after %d crashes", crashes)
	}
	var wg sync.WaitGroup
	for range others {
		wg.Go(func() {
			res, body := g.post(initBody)
			if res.StatusCode != 200 {
				t.Errorf("initialize beside a session that crashes: %d %s", res.StatusCode, body)
				return
			}
			_, body = g.post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","arguments":{}}}`, spec.HeaderSession, res.Header.Get(spec.HeaderSession))
			if !strings.Contains(body, "alpha") {
				t.Errorf("a call beside a session that crashes: %s", body)
			}
		})
	}
	wg.Wait()
	// A start that is due within a second waits for it.
	if !refused() && time.Now().Before(delayed.Add(-time.Second)) {
		t.Error("the session that crashes its process is delayed no more, since others started theirs")
	}
}
