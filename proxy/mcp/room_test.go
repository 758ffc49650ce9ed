package mcp

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// serves reports whether the client may still use its session.
func (g *gateway) serves(id string, headers ...string) bool {
	g.t.Helper()
	res, _ := g.post(`{"jsonrpc":"2.0","id":1,"method":"ping"}`, append(headers, spec.HeaderSession, id)...)
	return res.StatusCode == http.StatusOK
}

func TestPrincipalOverItsSessionsLosesTheOneThatIsIdleLongest(t *testing.T) {
	g := newGateway(t, func(c *Config) { c.Limits.SessionsPerPrincipal = 3 }, newServer(t, "alpha").backend("alpha"))
	bob := g.initialize("Test-User", "bob")
	first, second, third := g.initialize("Test-User", "ann"), g.initialize("Test-User", "ann"), g.initialize("Test-User", "ann")
	if !g.serves(first, "Test-User", "ann") {
		t.Fatal("the first session is not served")
	}
	fourth := g.initialize("Test-User", "ann")
	if g.serves(second, "Test-User", "ann") {
		t.Error("the session that was idle longest was not evicted")
	}
	for _, id := range []string{first, third, fourth} {
		if !g.serves(id, "Test-User", "ann") {
			t.Error("another session than the one idle longest was evicted")
		}
	}
	if !g.serves(bob, "Test-User", "bob") {
		t.Error("another principal's session was evicted")
	}
	if !g.trace.has("closed test evicted") {
		t.Errorf("the trace says %v", g.trace.all())
	}
}

func TestManySessionsOfAServiceAccountLockNobodyOut(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, func(c *Config) { c.Limits.Sessions, c.Limits.SessionsPerPrincipal = 20, 10 }, a.backend("alpha"))
	for range 50 {
		g.initialize("Test-User", "robot")
		g.initialize()
	}
	for _, user := range [][]string{nil, {"Test-User", "robot"}, {"Test-User", "ann"}} {
		if res, body := g.post(listBody, user...); res.StatusCode != http.StatusOK {
			t.Errorf("a single call of %v: %d %s", user, res.StatusCode, body)
		}
	}
	for i := range 10 {
		g.initialize("Test-User", fmt.Sprint("user", i)) // each takes an anonymous session's room
	}
	if res, body := g.post(initBody, "Test-User", "ann"); res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "too many sessions") {
		t.Errorf("no room but that of other principals: %d %s", res.StatusCode, body)
	}
	if res, body := g.post(listBody, "Test-User", "ann"); res.StatusCode != http.StatusOK {
		t.Errorf("a single call while there is no room for a session: %d %s", res.StatusCode, body)
	}
	testkit.Eventually(t, "evicted sessions are ended upstream", func() bool { return a.deletes.Load() >= 80 })
}

func TestSessionInUseIsNeverEvicted(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, func(c *Config) { c.Limits.Sessions, c.Limits.SessionsPerPrincipal = 2, 2 }, a.backend("alpha"))
	listening, calling := g.initialize("Test-User", "ann"), g.initialize("Test-User", "ann")
	g.listen(within(t), listening, "Test-User", "ann")
	var wg sync.WaitGroup
	wg.Go(func() {
		_, body := g.post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"wait"}}`, spec.HeaderSession, calling, "Test-User", "ann")
		if !strings.Contains(body, `"result"`) {
			t.Errorf("the call was answered %s", body)
		}
	})
	<-a.waiting
	if res, body := g.post(initBody, "Test-User", "ann"); res.StatusCode != http.StatusTooManyRequests || !strings.Contains(body, "too many sessions of this principal") {
		t.Errorf("over the principal's limit: %d %s", res.StatusCode, body)
	}
	if res, body := g.post(initBody); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("over the route's limit: %d %s", res.StatusCode, body)
	}
	if res, body := g.post(listBody, "Test-User", "ann"); res.StatusCode != http.StatusOK {
		t.Errorf("a single call: %d %s", res.StatusCode, body)
	}
	a.release()
	wg.Wait()
	testkit.Eventually(t, "there is room once the call is through", func() bool {
		res, _ := g.post(initBody, "Test-User", "ann")
		return res.StatusCode == http.StatusOK
	})
	if g.serves(calling, "Test-User", "ann") || !g.serves(listening, "Test-User", "ann") {
		t.Error("the session whose stream is open was evicted")
	}
}

func TestSessionsKeptForSingleCallsAreBounded(t *testing.T) {
	g := newGateway(t, func(c *Config) { c.Limits.Sessions, c.Limits.SessionsPerPrincipal = 5, 3 }, newServer(t, "alpha").backend("alpha"))
	for i := range 10 {
		for _, user := range []string{"ann", "bob"} {
			body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",`+
				`"io.modelcontextprotocol/clientInfo":{"name":"client %d","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}`, i)
			if res, answer := g.post(body, spec.HeaderVersion, spec.Modern, spec.HeaderMethod, "tools/list", "Test-User", user); res.StatusCode != http.StatusOK {
				t.Fatalf("call %d: %d %s", i, res.StatusCode, answer)
			}
		}
	}
	testkit.Eventually(t, "what is kept is within the limits", func() bool { return g.hub.Stats()["test"].Sessions <= 5 })
}

// fewProcesses is a cluster whose command may run so many times.
func fewProcesses(most int, patience time.Duration) backend {
	b := stdio("alpha")
	b.tune = func(c *clusters.Config) { c.MaxProcesses, c.QueueTimeout = most, patience }
	return b
}

const whoamiBody = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","arguments":{}}}`

func TestIdleSessionsMakeRoomForTheProcessesOfOthers(t *testing.T) {
	g := newGateway(t, nil, fewProcesses(2, time.Minute))
	var ids []string
	for range 5 {
		ids = append(ids, g.initialize())
	}
	// Each goes on with a process of its own when it is used again.
	for _, id := range ids {
		if res, body := g.post(whoamiBody, spec.HeaderSession, id); res.StatusCode != http.StatusOK || !strings.Contains(body, `"text":"alpha"`) {
			t.Errorf("%d %s", res.StatusCode, body)
		}
	}
	for i := range 3 {
		if res, body := g.post(whoamiBody, "Test-User", fmt.Sprint("user", i)); res.StatusCode != http.StatusOK {
			t.Errorf("a single call: %d %s", res.StatusCode, body)
		}
	}
	if !g.trace.has("another session needed one") {
		t.Errorf("the trace says %v", g.trace.all())
	}
}

func TestProcessOfASessionInUseIsNotTaken(t *testing.T) {
	g := newGateway(t, nil, fewProcesses(1, 50*time.Millisecond))
	id := g.initialize()
	g.listen(within(t), id)
	res, body := g.post(initBody)
	if res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "upstream_overflow") || !strings.Contains(body, "all its processes are in use") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	if !g.trace.has("queue_timeout") {
		t.Errorf("the trace says %v", g.trace.all())
	}
	if _, body := g.post(whoamiBody, spec.HeaderSession, id); !strings.Contains(body, `"text":"alpha"`) {
		t.Errorf("the session in use: %s", body)
	}
	if g.trace.has("lost") {
		t.Errorf("the trace says %v", g.trace.all())
	}
}

func TestMoreSessionsThanProcessesShareThemWithoutAFailure(t *testing.T) {
	g := newGateway(t, nil, fewProcesses(2, time.Minute))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			id := g.initialize()
			for range 4 {
				if _, body := g.post(whoamiBody, spec.HeaderSession, id); !strings.Contains(body, `"text":"alpha"`) {
					t.Errorf("answered %s", body)
				}
			}
		})
	}
	wg.Wait()
}

func TestAPrincipalTakesTheProcessesOfItsOwnIdleSessionsFirst(t *testing.T) {
	g := newGateway(t, nil, fewProcesses(3, time.Minute))
	bob := []string{"Test-User", "bob"}
	bob = append(bob, spec.HeaderSession, g.initialize(bob...))
	anonymous := []string{spec.HeaderSession, g.initialize()}
	for _, want := range []string{"1", "2"} {
		for _, who := range [][]string{bob, anonymous} {
			_, body := g.post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"count","arguments":{}}}`, who...)
			if !strings.Contains(body, `"text":"`+want+`"`) {
				t.Errorf("not call %s of the same process: %s", want, body)
			}
		}
		for range 4 {
			g.initialize("Test-User", "ann")
		}
	}
}
