package mcp

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// taskServer is a server with tasks, of either era, that remembers what it got.
type taskServer struct {
	url string
	mu  sync.Mutex
	got map[string]*jsonrpc.Message // the last request, by method
}

const innerTask = "task-1"

func newTaskServer(t testing.TB, era string) *taskServer {
	s := &taskServer{got: map[string]*jsonrpc.Message{}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		m, err := jsonrpc.Parse(body)
		if err != nil || m.Kind() != jsonrpc.Request {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		s.mu.Lock()
		s.got[m.Method()] = m
		s.mu.Unlock()
		task := `"taskId":"` + innerTask + `","status":"working","ttl":1,"createdAt":"2026-01-01T00:00:00Z","lastUpdatedAt":"2026-01-01T00:00:00Z"`
		related := `"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"` + innerTask + `"}}`
		result := map[string]string{
			"initialize":      `{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"tasks":{"list":{}}},"serverInfo":{"name":"t","version":"1"}}`,
			"server/discover": `{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}}`,
			"tools/list":      `{"tools":[]}`,
			"tools/call":      `{"task":{` + task + `},` + related + `}`,
			"tasks/get":       `{` + task + `}`,
			"tasks/cancel":    `{` + task + `}`,
			"tasks/result":    `{"content":[{"type":"resource_link","uri":"x:y","name":"n"}],` + related + `}`,
			"tasks/list":      `{"tasks":[{` + task + `}]}`,
			"tasks/update":    `{"resultType":"complete"}`,
		}[m.Method()]
		if era == spec.Modern && m.Method() == "tools/call" {
			result = `{"resultType":"task",` + task + `}`
		}
		refused := map[string]bool{"initialize": era == spec.Modern, "server/discover": era != spec.Modern}[m.Method()]
		answer := jsonrpc.NewResult(m.ID(), []byte(result))
		switch {
		case result == "" || refused:
			answer = jsonrpc.NewError(m.ID(), jsonrpc.CodeMethodNotFound, "not here", nil)
		case m.Params().Get("name").String() == "visit":
			answer = jsonrpc.NewError(m.ID(), jsonrpc.CodeURLElicitationRequired, "sign in", []byte(`{"elicitations":[{"mode":"url","elicitationId":"e1","url":"https://example.com/","message":"sign in"}]}`))
		}
		if m.Params().Get("name").String() == "visited" {
			say(w, jsonrpc.NewNotification("notifications/elicitation/complete", []byte(`{"elicitationId":"e1"}`)),
				jsonrpc.NewNotification("notifications/tasks/status", []byte(`{`+task+`}`)), answer)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer)
	}))
	t.Cleanup(srv.Close)
	s.url = srv.URL + "/mcp"
	return s
}

func (s *taskServer) last(method string) *jsonrpc.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got[method]
}

func TestTaskIDsOfAFederationAreSealedWhereverTheyOccur(t *testing.T) {
	s := newTaskServer(t, spec.NewestLegacy)
	g := newGateway(t, nil, backend{name: "alpha", endpoints: []string{s.url}}, newServer(t, "beta").backend("beta"))
	id := g.initialize()
	call := func(method, params string) *jsonrpc.Message {
		t.Helper()
		_, answer := g.post(fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":%s}`, method, params), spec.HeaderSession, id)
		m, err := jsonrpc.Parse([]byte(answer))
		if err != nil {
			t.Fatalf("%s: %q: %v", method, answer, err)
		}
		if strings.Contains(answer, innerTask) {
			t.Errorf("%s shows the server's own id: %s", method, answer)
		}
		return m
	}
	created := call("tools/call", `{"name":"alpha__work","task":{"ttl":1000}}`).Result()
	task := created.Get("task", "taskId").String()
	if task == "" || created.Get("_meta", jsonrpc.MetaRelatedTask, "taskId").String() != task {
		t.Fatalf("created %s", created.Raw())
	}
	for _, method := range []string{"tasks/get", "tasks/cancel"} {
		if got := call(method, `{"taskId":"`+task+`"}`).Result(); got.Get("taskId").String() != task {
			t.Errorf("%s: %s", method, got.Raw())
		}
		if got := s.last(method).Params().Get("taskId").String(); got != innerTask {
			t.Errorf("%s: the server is asked for %q", method, got)
		}
	}
	result := call("tasks/result", `{"taskId":"`+task+`","_meta":{"io.modelcontextprotocol/related-task":{"taskId":"`+task+`"}}}`).Result()
	if result.Get("_meta", jsonrpc.MetaRelatedTask, "taskId").String() != task || !strings.Contains(string(result.Raw()), `"alpha+x:y"`) {
		t.Errorf("the result: %s", result.Raw())
	}
	if got := s.last("tasks/result").Params().Get("_meta", jsonrpc.MetaRelatedTask, "taskId").String(); got != innerTask {
		t.Errorf("the server is told of the task %q", got)
	}
	if list := call("tasks/list", `{}`).Result(); list.Get("tasks").Len() != 1 || !strings.Contains(string(list.Raw()), task) {
		t.Errorf("the list: %s", list.Raw())
	}
	for _, foreign := range []string{innerTask, task[:len(task)-2], ""} {
		_, answer := g.post(`{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"`+foreign+`"}}`, spec.HeaderSession, id)
		if !strings.Contains(answer, "-32602") {
			t.Errorf("%q: %s", foreign, answer)
		}
	}
	_, streamed := g.post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"alpha__visited"}}`, spec.HeaderSession, id, "Accept", "application/json, text/event-stream")
	if !strings.Contains(streamed, `notifications/tasks/status","params":{"taskId":"`+task+`"`) {
		t.Errorf("the state that the server tells: %s", streamed)
	}
	// What a page is for is called the same in the error and when it is over.
	page := call("tools/call", `{"name":"alpha__visit"}`).Error().Get("data", "elicitations")
	var elicitation string
	for _, p := range page.Each {
		elicitation = p.Get("elicitationId").String()
	}
	if elicitation == "" || elicitation == "e1" || !strings.Contains(streamed, `{"elicitationId":"`+elicitation+`"}`) {
		t.Errorf("the page %s, and then %s", page.Raw(), streamed)
	}
}

func TestTasksOfTheExtensionInAFederation(t *testing.T) {
	s := newTaskServer(t, spec.Modern)
	g := newGateway(t, bridging, backend{name: "alpha", endpoints: []string{s.url}}, newServer(t, "beta").backend("beta"))
	call := func(method, name, params string) *jsonrpc.Message {
		t.Helper()
		_, answer := g.post(fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":{%s,%s}}`, method, params, modernMeta),
			spec.HeaderVersion, spec.Modern, spec.HeaderMethod, method, spec.HeaderName, name)
		m, err := jsonrpc.Parse([]byte(answer))
		if err != nil || strings.Contains(answer, innerTask) {
			t.Fatalf("%s: %q: %v", method, answer, err)
		}
		return m
	}
	_, discovered := g.post(`{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{`+modernMeta+`}}`, spec.HeaderVersion, spec.Modern, spec.HeaderMethod, "server/discover")
	if !strings.Contains(discovered, `"extensions":{"io.modelcontextprotocol/tasks":{}}`) {
		t.Errorf("discovered %s", discovered)
	}
	task := call("tools/call", "alpha__work", `"name":"alpha__work"`).Result().Get("taskId").String()
	for _, method := range []string{"tasks/get", "tasks/update", "tasks/cancel"} {
		if m := call(method, task, `"taskId":"`+task+`"`); m.IsError() || m.Result().Get("resultType").String() != "complete" {
			t.Errorf("%s: %s", method, m.Raw())
		}
		if got := s.last(method).Params().Get("taskId").String(); got != innerTask {
			t.Errorf("%s: the server is asked for %q", method, got)
		}
	}
	if m := call("tasks/get", task, `"taskId":"other"`); m.ErrorCode() != jsonrpc.CodeHeaderMismatch {
		t.Errorf("a header that names another task: %s", m.Raw())
	}
}
