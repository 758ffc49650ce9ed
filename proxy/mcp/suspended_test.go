package mcp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// modernCall makes a tools/call of a modern client that can be asked, as a
// named user, and returns the answer.
func (g *gateway) modernCall(user, tool, more string) (int, map[string]any) {
	g.t.Helper()
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":{"person":"x"}%s,"_meta":{`+
		`"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{"form":{},"url":{}}}}}}`, tool, more)
	res, answer := g.post(body, spec.HeaderVersion, spec.Modern, spec.HeaderMethod, "tools/call", spec.HeaderName, tool, "Test-User", user,
		"Accept", "application/json, text/event-stream")
	var m map[string]any
	if err := json.Unmarshal([]byte(answer), &m); err != nil {
		g.t.Fatalf("%q: %v", answer, err)
	}
	return res.StatusCode, m
}

// asked returns the state of an answer that asks for input, "" of another.
func asked(answer map[string]any) string {
	result, _ := answer["result"].(map[string]any)
	if result["resultType"] != "input_required" {
		return ""
	}
	state, _ := result["requestState"].(string)
	return state
}

func errorCode(answer map[string]any) any {
	e, _ := answer["error"].(map[string]any)
	return e["code"]
}

const accepted = `,"inputResponses":{"1":{"action":"accept","content":{"answer":"y"}}}`

func withState(state string) string { return fmt.Sprintf(`,"requestState":%q`, state) }

func TestInputIsTakenOnceAndFromTheOneWhoWasAsked(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, nil, a.backend("alpha"))
	_, answer := g.modernCall("ann", "elicit", "")
	state := asked(answer)
	if state == "" || strings.Contains(state, "alpha") {
		t.Fatalf("answered %v", answer)
	}
	if _, answer := g.modernCall("bob", "elicit", withState(state)+accepted); errorCode(answer) != -32602.0 {
		t.Errorf("another user's state: %v", answer)
	}
	if _, answer := g.modernCall("ann", "whoami", withState(state)+accepted); errorCode(answer) != -32602.0 {
		t.Errorf("the state for another tool: %v", answer)
	}
	_, answer = g.modernCall("ann", "elicit", withState(state))
	again := asked(answer)
	if again == "" || again == state {
		t.Fatalf("without the input that was asked for: %v", answer)
	}
	if _, answer := g.modernCall("ann", "elicit", withState(again)+accepted); !strings.Contains(fmt.Sprint(answer["result"]), "x: accept y") {
		t.Errorf("with it: %v", answer)
	}
	for _, used := range []string{state, again} {
		if _, answer := g.modernCall("ann", "elicit", withState(used)+accepted); errorCode(answer) != -32602.0 {
			t.Errorf("a second time: %v", answer)
		}
	}
}

func TestInputThatNeverComesCancelsTheCall(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, func(c *Config) { c.Timeouts.ServerRequest = 100 * time.Millisecond }, a.backend("alpha"))
	_, answer := g.modernCall("ann", "elicit", "")
	state := asked(answer)
	if state == "" {
		t.Fatalf("answered %v", answer)
	}
	testkit.Eventually(t, "the end of the call", func() bool { return len(g.hub.Stats()) == 0 })
	if _, answer := g.modernCall("ann", "elicit", withState(state)+accepted); errorCode(answer) != -32602.0 {
		t.Errorf("too late: %v", answer)
	}
}

func TestPagesThatAServerWantsVisitedAreAskedForInEachErasWords(t *testing.T) {
	var called string // the last tools/call
	url := newScript(t, func(w http.ResponseWriter, m *jsonrpc.Message) {
		w.Header().Set("Content-Type", "application/json")
		answer := jsonrpc.NewError(m.ID(), jsonrpc.CodeMethodNotFound, "not here", nil)
		if m.Method() == "tools/call" {
			called = string(m.Raw())
			answer = jsonrpc.NewError(m.ID(), jsonrpc.CodeURLElicitationRequired, "sign in",
				[]byte(`{"elicitations":[{"mode":"url","elicitationId":"e1","url":"https://example.com/","message":"sign in"}]}`))
		}
		_, _ = w.Write(answer)
	}, nil)
	g := newGateway(t, nil, backend{name: "alpha", endpoints: []string{url}})
	status, answer := g.modernCall("ann", "any", "")
	text, _ := json.Marshal(answer)
	if status != http.StatusOK || asked(answer) == "" || !strings.Contains(string(text), `"method":"elicitation/create"`) || !strings.Contains(string(text), `"url":"https://example.com/"`) {
		t.Errorf("%d %s", status, text)
	}
	// The server is called again, with nothing that it does not know.
	g.modernCall("ann", "any", withState(asked(answer))+`,"inputResponses":{"0":{"action":"accept"}}`)
	if strings.Contains(called, "requestState") || strings.Contains(called, "inputResponses") || strings.Contains(called, "io.modelcontextprotocol") {
		t.Errorf("the server got %s", called)
	}
}

func TestClientThatAlwaysSaysAnotherThingOfItselfIsServed(t *testing.T) {
	g := newGateway(t, func(c *Config) { c.Limits.SessionsPerPrincipal = 3 }, newServer(t, "alpha").backend("alpha"))
	for i := range 10 {
		body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",`+
			`"io.modelcontextprotocol/clientInfo":{"name":"client %d","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}`, i)
		if res, answer := g.post(body, spec.HeaderVersion, spec.Modern, spec.HeaderMethod, "tools/list", "Test-User", "ann"); res.StatusCode != http.StatusOK {
			t.Fatalf("call %d: %d %s", i, res.StatusCode, answer)
		}
	}
}

func TestQuestionsWithoutParamsAreAsked(t *testing.T) {
	answers := make(chan string, 1)
	url := newScript(t, func(w http.ResponseWriter, m *jsonrpc.Message) {
		if m.Method() != "tools/call" {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(jsonrpc.NewError(m.ID(), jsonrpc.CodeMethodNotFound, "not here", nil))
			return
		}
		say(w, jsonrpc.NewRequest(jsonrpc.IntID(9), "roots/list", nil))
		say(w, jsonrpc.NewResult(m.ID(), []byte(`{"content":[{"type":"text","text":`+<-answers+`}]}`)))
	}, func(m *jsonrpc.Message) {
		if m.Kind() == jsonrpc.Response {
			answers <- string(m.Result().Get("roots").Raw())
		}
	})
	g := newGateway(t, nil, backend{name: "alpha", endpoints: []string{url}})
	_, answer := g.modernCall("ann", "any", "")
	if asked(answer) == "" {
		t.Fatalf("answered %v", answer)
	}
	_, answer = g.modernCall("ann", "any", withState(asked(answer))+`,"inputResponses":{"1":{"roots":"r"}}`)
	if !strings.Contains(fmt.Sprint(answer["result"]), "text:r") {
		t.Errorf("answered %v", answer)
	}
}

// Some servers ask for the roots of each client that initialises.
func TestAQuestionForRootsThatNoCallWaitsForTakesNoRound(t *testing.T) {
	var mu sync.Mutex
	roots := make(chan string, 1)
	asking := make(chan struct{}, 1) // a stream asks
	call := ""                       // the tool that was called
	raw := newRawServer(t, func(string) string {
		mu.Lock()
		tool := call
		mu.Unlock()
		if tool == "waits" {
			return `{"content":[{"type":"text","text":` + <-roots + `}]}`
		}
		return `{"content":[]}`
	})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			say(w, jsonrpc.NewRequest(jsonrpc.IntID(9), "roots/list", nil))
			w.(http.Flusher).Flush()
			asking <- struct{}{}
			<-r.Context().Done()
			return
		}
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		switch m, err := jsonrpc.Parse(body); {
		case err != nil: // DELETE
		case m.Kind() == jsonrpc.Response:
			if !m.IsError() {
				roots <- string(m.Result().Get("roots").Raw())
			}
			w.WriteHeader(http.StatusAccepted)
			return
		case m.Method() == "tools/call":
			mu.Lock()
			call = m.Params().Get("name").String()
			mu.Unlock()
			<-asking
		}
		raw.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	g := newGateway(t, nil, backend{name: "alpha", endpoints: []string{srv.URL + "/mcp"}, protocol: "2025-11-25"})
	for range 3 {
		if _, answer := g.modernCall("ann", "any", ""); asked(answer) != "" || answer["result"] == nil {
			t.Errorf("answered %v", answer)
		}
	}
	_, answer := g.modernCall("ann", "waits", "")
	if asked(answer) == "" {
		t.Fatalf("a call that waits is answered %v", answer)
	}
	if _, answer = g.modernCall("ann", "waits", withState(asked(answer))+`,"inputResponses":{"1":{"roots":"r"}}`); !strings.Contains(fmt.Sprint(answer["result"]), "text:r") {
		t.Errorf("answered %v", answer)
	}
}

// A server asks more than it may, and takes its time to hear that.
func TestASilentServerIsGivenUpWhileAQuestionIsRefused(t *testing.T) {
	end := make(chan struct{})
	url := newScript(t, func(w http.ResponseWriter, m *jsonrpc.Message) {
		if m.Method() != spec.ToolsCall {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		say(w, jsonrpc.NewRequest(jsonrpc.IntID(1), spec.ElicitationCreate, []byte(`{"message":"a"}`)),
			jsonrpc.NewRequest(jsonrpc.IntID(2), spec.ElicitationCreate, []byte(`{"message":"b"}`)))
		<-end
	}, func(m *jsonrpc.Message) {
		if m.IsError() {
			<-end
		}
	})
	g := newGateway(t, func(c *Config) {
		c.Limits.Pending = 1
		c.Timeouts.CallIdle = 300 * time.Millisecond
	}, backend{name: "asks", endpoints: []string{url}})
	t.Cleanup(func() { close(end) }) // before the servers are closed
	_, answer := g.modernCall("ann", "x", "")
	start := time.Now()
	_, answer = g.modernCall("ann", "x", withState(asked(answer))+accepted)
	if errorCode(answer) == nil || time.Since(start) > 5*time.Second {
		t.Errorf("answered after %v: %v", time.Since(start), answer)
	}
}
