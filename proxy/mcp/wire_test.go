package mcp

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

const listBody = `{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}`

func TestCurlListsToolsWithoutASession(t *testing.T) {
	srv := newServer(t, "alpha")
	other := newServer(t, "beta")
	for name, g := range map[string]*gateway{
		"one": newGateway(t, nil, srv.backend("alpha")),
		"sse": newGateway(t, nil, backend{name: "alpha", endpoints: []string{srv.sse(t)}}),
		"two": newGateway(t, nil, srv.backend("alpha"), other.backend("beta")),
	} {
		t.Run(name, func(t *testing.T) {
			res, body := g.post(listBody)
			if res.StatusCode != 200 || res.Header.Get("Content-Type") != "application/json" || !strings.Contains(body, `whoami"`) {
				t.Fatalf("%d %v %s", res.StatusCode, res.Header, body)
			}
			tool := "whoami"
			if name == "two" {
				tool = "alpha__whoami"
			}
			res, body = g.post(`{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"` + tool + `"}}`)
			if res.StatusCode != 200 || !strings.Contains(body, `"text":"alpha"`) || !strings.Contains(body, `"id":"x"`) {
				t.Fatalf("%d %s", res.StatusCode, body)
			}
			testkit.Eventually(t, "the upstream session of an anonymous call ends", func() bool { return len(g.hub.Stats()) == 0 })
		})
	}
}

func TestSingleCallsShareNoSessionOfAServer(t *testing.T) {
	srv := newServer(t, "alpha")
	g := newGateway(t, nil, srv.backend("alpha"))
	modernList := strings.Replace(listBody, `"params": {`, `"params": {`+modernMeta, 1)
	for range 2 {
		for _, headers := range [][]string{nil, {spec.HeaderVersion, spec.Modern, spec.HeaderMethod, "tools/list"}} {
			body := listBody
			if headers != nil {
				body = modernList
			}
			if res, body := g.post(body, append(headers, "Test-User", "ann")...); res.StatusCode != 200 {
				t.Fatalf("%d %s", res.StatusCode, body)
			}
		}
	}
	if n := g.countUpstream(); n != 4 {
		t.Errorf("%d upstream sessions for four calls", n)
	}
	testkit.Eventually(t, "the sessions to be deleted", func() bool { return srv.deletes.Load() == 4 })
}

func TestSingleCallsOfAPrincipalShareWhatKeepsNothing(t *testing.T) {
	srv := newStateless(t, "alpha")
	g := newGateway(t, nil, srv.backend("alpha"))
	for _, user := range []string{"ann", "ann", "ann", "bob"} {
		if res, body := g.post(listBody, "Test-User", user); res.StatusCode != 200 {
			t.Fatalf("%d %s", res.StatusCode, body)
		}
	}
	if n := g.countUpstream(); n != 2 {
		t.Errorf("%d upstream sessions for two principals", n)
	}
	if n := srv.deletes.Load(); n != 0 {
		t.Errorf("%d sessions deleted", n)
	}
}

// countUpstream counts the upstream sessions that were opened.
func (g *gateway) countUpstream() int {
	n := 0
	for _, line := range g.trace.all() {
		if strings.HasPrefix(line, "upstream ") && strings.HasSuffix(line, "<nil>") {
			n++
		}
	}
	return n
}

func TestWhatIsRefused(t *testing.T) {
	srv := newServer(t, "alpha")
	g := newGateway(t, func(c *Config) { c.Limits.Message = 2048 }, srv.backend("alpha"))
	id := g.initialize("Test-User", "ann")
	ann := []string{"Test-User", "ann", spec.HeaderSession, id}
	with := func(more ...string) []string { return append(append([]string(nil), ann...), more...) }
	const ping = `{"jsonrpc":"2.0","id":5,"method":"ping"}`
	for _, c := range []struct {
		name, method, body string
		headers            []string
		status             int
		part               string
	}{
		{"ping", "POST", ping, ann, 200, `{"jsonrpc":"2.0","id":5,"result":{}}`},
		{"notification", "POST", `{"jsonrpc":"2.0","method":"notifications/initialized"}`, ann, 202, ""},
		{"late answer", "POST", `{"jsonrpc":"2.0","id":77,"result":{}}`, ann, 202, ""},
		{"dead session", "POST", ping, []string{spec.HeaderSession, "nonesuch"}, 404, "initialize anew"},
		{"other principal", "POST", ping, []string{spec.HeaderSession, id, "Test-User", "bob"}, 403, "another principal"},
		{"anonymous", "POST", ping, []string{spec.HeaderSession, id}, 403, "another principal"},
		{"GET of another", "GET", "", []string{spec.HeaderSession, id}, 403, ""},
		{"DELETE of another", "DELETE", "", []string{spec.HeaderSession, id}, 403, ""},
		{"DELETE without session", "DELETE", "", nil, 400, ""},
		{"GET without session", "GET", "", nil, 405, ""},
		{"PUT", "PUT", "", nil, 405, ""},
		{"GET for JSON", "GET", "", with("Accept", "application/json"), 406, ""},
		{"content type", "POST", ping, with("Content-Type", "text/plain"), 415, ""},
		{"compressed", "POST", ping, with("Content-Encoding", "gzip"), 415, "Content-Encoding"},
		{"compressed twice", "POST", ping, with("Content-Encoding", "identity, br"), 415, "Content-Encoding"},
		{"not compressed", "POST", ping, with("Content-Encoding", "identity"), 200, ""},
		{"accept", "POST", ping, with("Accept", "text/html"), 406, ""},
		{"too long", "POST", `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"` + strings.Repeat("x", 2048) + `"}}`, ann, 413, "limits.message"},
		{"no JSON", "POST", `{`, ann, 400, "-32700"},
		{"no JSON-RPC", "POST", `{}`, ann, 400, "-32600"},
		{"null id", "POST", `{"jsonrpc":"2.0","id":null,"method":"ping"}`, ann, 400, "-32600"},
		{"duplicate key", "POST", `{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}`, ann, 400, "-32600"},
		{"batch", "POST", "[" + ping + "]", ann, 400, "batches are not accepted"},
		{"unknown version", "POST", ping, with(spec.HeaderVersion, "1999-01-01"), 400, `"supported":["2025-11-25","2025-06-18","2025-03-26"]`},
		{"known version", "POST", ping, with(spec.HeaderVersion, "2025-06-18"), 200, ""},
		{"modern by header", "POST", ping, with(spec.HeaderVersion, "2026-07-28"), 404, `"code":-32601`},
		{"modern by _meta", "POST", `{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`,
			nil, 400, `"code":-32020`},
		{"of no known revision", "POST", `{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2027-01-01"}}}`,
			with(spec.HeaderVersion, "2027-01-01"), 400, `"supported":["2025-11-25","2025-06-18","2025-03-26"]`},
		{"sessionless subscription", "POST", `{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"x:y"}}`, nil, 400, "needs a session"},
		{"sessionless level", "POST", `{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"info"}}`, nil, 400, "needs a session"},
		{"sessionless answer", "POST", `{"jsonrpc":"2.0","id":1,"result":{}}`, nil, 400, "needs a session"},
		{"host", "POST", ping, with("Host", "evil.example.com"), 403, ""},
		{"origin", "POST", ping, with("Origin", "http://evil.example.com"), 403, ""},
		{"null origin", "POST", ping, with("Origin", "null"), 403, ""},
		{"own origin", "POST", ping, with("Origin", g.server.URL), 200, ""},
		{"foreign cursor", "POST", `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"abc"}}`, ann, 200, "-32602"},
		{"DELETE", "DELETE", "", ann, 204, ""},
		{"deleted", "POST", ping, ann, 404, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			res, body := g.do(c.method, c.body, c.headers...)
			if res.StatusCode != c.status || !strings.Contains(body, c.part) {
				t.Errorf("%d %s, want %d %s", res.StatusCode, body, c.status, c.part)
			}
		})
	}
	// The client's, and the one in which the server was asked what it serves.
	testkit.Eventually(t, "the sessions end upstream", func() bool { return srv.deletes.Load() == 2 })
}

func TestSessionOfAnotherRouteIs404(t *testing.T) {
	srv := newServer(t, "alpha")
	g := newGateway(t, nil, srv.backend("alpha"))
	id := g.initialize()
	other, err := g.hub.NewHandler(HandlerConfig{Route: "other", Config: g.cfg, Clusters: g.set})
	if err != nil {
		t.Fatal(err)
	}
	g.hub.Commit([]*Handler{g.current.Load(), other})
	g.current.Store(other)
	if res, body := g.post(listBody, spec.HeaderSession, id); res.StatusCode != 404 {
		t.Errorf("%d %s", res.StatusCode, body)
	}
}

func TestVersionIsNegotiatedPerHop(t *testing.T) {
	one, two := newServer(t, "alpha"), newServer(t, "beta")
	for name, g := range map[string]*gateway{
		"one": newGateway(t, nil, one.backend("alpha")),
		"two": newGateway(t, nil, one.backend("alpha"), two.backend("beta")),
	} {
		for asked, got := range map[string]string{"2025-03-26": "2025-03-26", "2025-06-18": "2025-06-18", "2026-07-28": "2025-11-25", "1999-01-01": "2025-11-25"} {
			_, body := g.post(strings.Replace(initBody, "2025-11-25", asked, 1))
			if !strings.Contains(body, `"protocolVersion":"`+got+`"`) {
				t.Errorf("%s: asked for %s: %s", name, asked, body)
			}
		}
	}
}

func TestUnknownFieldsSurviveByteForByte(t *testing.T) {
	const answer = `{"content" : [ {"type":"text","text":"\u0041"} ] , "x-new":1.0e0,"_meta":{"a":[1 , 2]}}`
	const params = `{"name":"t","arguments":{"n":1.50,"u":"\u00e9"},"_meta":{"k" : null},"later":{"a":1,"a":2}}`
	raw := newRawServer(t, func(method string) string { return answer })
	g := newGateway(t, nil, backend{name: "raw", endpoints: []string{raw.url}})
	id := g.initialize()
	_, body := g.post(`{"jsonrpc":"2.0","id":"me","method":"tools/call","params":`+params+`,"extra":true}`, spec.HeaderSession, id)
	if want := `"result":` + answer; !strings.Contains(body, want) || !strings.Contains(body, `"id":"me"`) {
		t.Errorf("answer: %s", body)
	}
	if got := raw.last("tools/call"); !strings.Contains(got, `"params":`+params+`,"extra":true`) {
		t.Errorf("request: %s", got)
	}
}

func TestGetStreamIsFlushedAtOnceAndBounded(t *testing.T) {
	srv := newServer(t, "alpha")
	g := newGateway(t, func(c *Config) { c.Limits.Streams = 2 }, srv.backend("alpha"))
	id := g.initialize()
	var open []*http.Response
	for range 2 {
		req, _ := http.NewRequestWithContext(within(t), "GET", g.url, nil)
		req.Header.Set(spec.HeaderSession, id)
		req.Header.Set("Accept", "text/event-stream")
		res, err := g.server.Client().Do(req)
		if err != nil || res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
			t.Fatal(res, err)
		}
		defer res.Body.Close()
		open = append(open, res)
	}
	if res, body := g.do("GET", "", spec.HeaderSession, id); res.StatusCode != 429 {
		t.Errorf("a third stream: %d %s", res.StatusCode, body)
	}
	if n := g.hub.Stats()["test"]; n.Streams != 2 || n.Sessions != 1 {
		t.Errorf("stats: %+v", n)
	}
	g.do("DELETE", "", spec.HeaderSession, id)
	for _, res := range open {
		b := make([]byte, 1)
		for {
			if _, err := res.Body.Read(b); err != nil {
				if err.Error() != "EOF" {
					t.Errorf("the stream of a deleted session ends with %v", err)
				}
				break
			}
		}
	}
	testkit.Eventually(t, "streams are uncounted", func() bool { return g.hub.Stats()["test"].Streams == 0 })
}

func TestIdleSessionEnds(t *testing.T) {
	srv := newServer(t, "alpha")
	g := newGateway(t, func(c *Config) { c.Timeouts.SessionIdle = 10 * time.Millisecond }, srv.backend("alpha"))
	id := g.initialize()
	testkit.Eventually(t, "the session is idle", func() bool { return g.trace.has("closed test idle") })
	if res, _ := g.post(listBody, spec.HeaderSession, id); res.StatusCode != 404 {
		t.Errorf("status %d", res.StatusCode)
	}
	testkit.Eventually(t, "the upstream session ends", func() bool { return srv.deletes.Load() == 1 })
}

func TestClientHeadersThatGoUpstream(t *testing.T) {
	raw := newRawServer(t, func(string) string { return `{"tools":[]}` })
	g := newGateway(t, func(c *Config) { c.ForwardHeaders = []string{"x-tenant"} }, backend{name: "raw", endpoints: []string{raw.url}})
	g.post(listBody, "Authorization", "Bearer secret", "X-Tenant", "t1", "X-Other", "no", "Traceparent", "00-1", "Cookie", "a=b")
	h := raw.header("tools/list")
	if h.Get("X-Tenant") != "t1" || h.Get("Traceparent") != "00-1" {
		t.Errorf("missing: %v", h)
	}
	for _, name := range []string{"Authorization", "X-Other", "Cookie", "Test-User"} {
		if h.Get(name) != "" {
			t.Errorf("%s went upstream: %v", name, h)
		}
	}
}

func TestForwardedHeadersGoWithAllThatASessionSends(t *testing.T) {
	a := newServer(t, "alpha")
	var mu sync.Mutex
	tenants := map[string][]string{}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		tenants[r.Method] = append(tenants[r.Method], r.Header.Get("X-Tenant")+r.Header.Get("Authorization"))
		mu.Unlock()
		a.ServeHTTP(w, r)
	}))
	defer front.Close()
	defer front.CloseClientConnections()
	g := newGateway(t, func(c *Config) { c.ForwardHeaders = []string{"X-Tenant"} }, backend{name: "alpha", endpoints: []string{front.URL}})
	tenant := []string{"X-Tenant", "t1", "Authorization", "Bearer secret"}
	id := g.initialize(tenant...)
	g.listen(within(t), id)
	g.post(listBody, append(tenant, spec.HeaderSession, id)...)
	testkit.Eventually(t, "the gateway listens", func() bool { return a.gets.Load() > 0 })
	g.do(http.MethodDelete, "", append(tenant, spec.HeaderSession, id)...)
	testkit.Eventually(t, "the session is ended upstream", func() bool { return a.deletes.Load() > 0 })
	mu.Lock()
	defer mu.Unlock()
	for method, values := range tenants {
		for _, value := range values {
			if value != "t1" {
				t.Errorf("%s came with %q", method, value)
			}
		}
	}
}
