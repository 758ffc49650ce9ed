package mcp

import (
	"strings"
	"sync"
	"testing"

	"github.com/mcpgateway/mcpgateway/clusters"
)

func TestSessionThatCrashesItsProcessDelaysNoOther(t *testing.T) {
	const others = 6
	b := stdio("alpha")
	b.tune = func(c *clusters.Config) { c.MaxProcesses = 2 * others }
	g := newGateway(t, nil, b)
	id := g.initialize()
	die := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"die","arguments":{}}}`
	for i := range 3 {
		// The second start waits for a moment, the third one is refused.
		_, body := g.post(die, sessionHeader, id)
		if refused := strings.Contains(body, "could not be reached"); refused != (i == 2) {
			t.Errorf("crash %d: %s", i+1, body)
		}
	}
	var wg sync.WaitGroup
	for range others {
		wg.Go(func() {
			res, body := g.post(initBody)
			if res.StatusCode != 200 {
				t.Errorf("initialize beside a session that crashes: %d %s", res.StatusCode, body)
				return
			}
			_, body = g.post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","arguments":{}}}`, sessionHeader, res.Header.Get(sessionHeader))
			if !strings.Contains(body, "alpha") {
				t.Errorf("a call beside a session that crashes: %s", body)
			}
		})
	}
	wg.Wait()
	if _, body := g.post(die, sessionHeader, id); !strings.Contains(body, "could not be reached") {
		t.Errorf("the session that crashes its process is not delayed: %s", body)
	}
}
