package auth_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
)

// protected is a gateway whose routes are protected resources, in front of a
// server that records the headers it gets.
type protected struct {
	*harness.Gateway
	t    *testing.T
	base string

	mu  sync.Mutex
	got []http.Header
}

func newProtected(t *testing.T) *protected {
	t.Helper()
	p := &protected{t: t}
	server := harness.Streamable(harness.NewTools("one"))
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.got = append(p.got, r.Header.Clone())
		p.mu.Unlock()
		server.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { upstream.CloseClientConnections(); upstream.Close() })
	dir := harness.ShortDir(t)
	harness.WriteFile(t, dir, "jwt.key", []byte(harness.Secret))
	yaml := func(base string) string {
		route := func(host, path string) string {
			return fmt.Sprintf(`
  - name: %[1]s%[2]s
    match: {path: %[2]s, hosts: [%[1]s], methods: [GET, POST, DELETE]}
    auth: {jwt: {issuer: mcpgateway, audiences: [mcpgateway-api], hmac_secret_files: [jwt.key]}}
    mcp:
      clusters: [one]
      allowed_origins: ["https://app.example.com"]
      forward_headers: [X-Tenant]
      resource: {url: "%[3]s%[2]s", authorization_servers: ["https://login.example.com"], scopes: ["mcp:tools", "mcp:read"]}`, host, path, base)
		}
		return fmt.Sprintf(`
reload: {watch: false}
listeners: [{name: public, address: "127.0.0.1:0"}]
routes: %s %s %s
  - match: {path_prefix: /}
    respond: {status: 204}
clusters:
  - {name: one, endpoints: ["%s/mcp"]}
`, route("127.0.0.1", "/team/mcp"), route("127.0.0.1", "/mcp"), route("localhost", "/mcp"), upstream.URL)
	}
	p.Gateway = harness.Start(t, dir, yaml("http://127.0.0.1:1"))
	p.base = "http://" + p.Address("public")
	p.MustApply(yaml(p.base))
	return p
}

// do sends a request; headers are pairs of names and values.
func (p *protected) do(method, path, body string, headers ...string) (*http.Response, string) {
	p.t.Helper()
	r, err := http.NewRequest(method, p.base+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp, string(b)
}

func scoped(t *testing.T, scope string) string {
	t.Helper()
	s, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"iss": "mcpgateway", "aud": "mcpgateway-api", "sub": "alice", "exp": time.Now().Add(time.Hour).Unix(), "scope": scope,
	}).SignedString([]byte(harness.Secret))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const call = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hi"}}}`

func TestAClientFindsOutWhereToGetAToken(t *testing.T) {
	t.Parallel()
	p := newProtected(t)
	resp, _ := p.do("POST", "/mcp", call, "Host", "evil.example.com")
	if resp.StatusCode != http.StatusNoContent {
		t.Errorf("another host: %d; it belongs to another route", resp.StatusCode)
	}
	resp, _ = p.do("POST", "/mcp", call)
	challenges, err := oauthex.ParseWWWAuthenticate(resp.Header.Values("WWW-Authenticate"))
	if err != nil || resp.StatusCode != http.StatusUnauthorized || len(challenges) != 1 || challenges[0].Scheme != "bearer" || challenges[0].Params["scope"] != "mcp:tools mcp:read" {
		t.Fatalf("%d, %+v, %v", resp.StatusCode, challenges, err)
	}
	// The SDK's own discovery checks that the document is about this resource.
	meta, err := oauthex.GetProtectedResourceMetadata(context.Background(), challenges[0].Params["resource_metadata"], p.base+"/mcp", http.DefaultClient)
	if err != nil || len(meta.AuthorizationServers) != 1 || meta.AuthorizationServers[0] != "https://login.example.com" || fmt.Sprint(meta.ScopesSupported) != "[mcp:tools mcp:read]" {
		t.Fatalf("%+v, %v", meta, err)
	}
	const at = "/.well-known/oauth-protected-resource"
	for path, resource := range map[string]string{at + "/team/mcp": "/team/mcp", at + "/mcp": "/mcp", at: "/team/mcp"} {
		resp, body := p.do("GET", path, "", "Origin", "https://anywhere.example.com")
		if resp.StatusCode != http.StatusOK || !strings.Contains(body, `"resource":"`+p.base+resource+`"`) || resp.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %d %s %v", path, resp.StatusCode, body, resp.Header)
		}
	}
	// The root belongs to the first route of a host; what it says does not come
	// from the request.
	if _, body := p.do("GET", at, "", "Host", "localhost"); !strings.Contains(body, `"resource":"`+p.base+`/mcp"`) {
		t.Errorf("the root of the other host: %s", body)
	}
	if resp, _ := p.do("POST", at, "{}"); resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", resp.StatusCode)
	}
	if resp, _ := p.do("OPTIONS", at, "", "Origin", "https://anywhere.example.com", "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "mcp-protocol-version"); resp.StatusCode != http.StatusNoContent || resp.Header.Get("Access-Control-Allow-Headers") != "*" {
		t.Errorf("preflight: %d %v", resp.StatusCode, resp.Header)
	}

	resp, _ = p.do("POST", "/mcp", call, "Authorization", "Bearer "+scoped(t, "mcp:tools"))
	challenge := resp.Header.Get("WWW-Authenticate")
	if resp.StatusCode != http.StatusForbidden || !strings.Contains(challenge, `error="insufficient_scope"`) || !strings.Contains(challenge, `scope="mcp:tools mcp:read"`) {
		t.Errorf("too few scopes: %d %s", resp.StatusCode, challenge)
	}
	good := scoped(t, "mcp:read mcp:tools")
	if resp, body := p.do("POST", "/mcp?access_token="+good, call, "Authorization", "Bearer "+good); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a token in the query: %d %s", resp.StatusCode, body)
	}
	if resp, body := p.do("POST", "/mcp", call, "Authorization", "Bearer "+good, "X-Tenant", "seven"); resp.StatusCode != http.StatusOK || !strings.Contains(body, "one: hi") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	tenant := false
	for _, h := range p.got {
		tenant = tenant || h.Get("X-Tenant") == "seven"
		for name, values := range h {
			if name == "Authorization" || strings.Contains(strings.Join(values, " "), good) {
				t.Errorf("the client's token went upstream in %s", name)
			}
		}
	}
	if !tenant {
		t.Error("a header of forward_headers did not go upstream")
	}
}

func TestWebPagesOfAllowedOriginsMayCall(t *testing.T) {
	t.Parallel()
	p := newProtected(t)
	const app = "https://app.example.com"
	ask := func(origin, requested string) *http.Response {
		resp, _ := p.do("OPTIONS", "/mcp", "", "Origin", origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", requested)
		return resp
	}
	resp := ask(app, "authorization,content-type,mcp-param-region,mcp-param-Tier,x-other")
	h := resp.Header
	if resp.StatusCode != http.StatusNoContent || h.Get("Access-Control-Allow-Origin") != app || h.Get("Access-Control-Allow-Methods") != "GET, POST, DELETE" || !strings.Contains(strings.Join(h.Values("Vary"), ", "), "Origin") {
		t.Errorf("%d %v", resp.StatusCode, h)
	}
	allowed := ", " + strings.ToLower(h.Get("Access-Control-Allow-Headers")) + ", "
	for _, name := range []string{
		"accept", "authorization", "content-type", "last-event-id", "mcp-session-id", "mcp-protocol-version", "mcp-method", "mcp-name",
		"traceparent", "tracestate", "baggage", "x-tenant", "mcp-param-region", "mcp-param-tier",
	} {
		if !strings.Contains(allowed, ", "+name+", ") {
			t.Errorf("%s is not allowed: %s", name, allowed)
		}
	}
	if strings.Contains(allowed, "x-other") {
		t.Error("an unknown header is allowed")
	}
	for _, origin := range []string{"https://evil.example.com", "null", app + ".evil.example.com", "http://app.example.com"} {
		if resp := ask(origin, "content-type"); resp.StatusCode != http.StatusForbidden || resp.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %d %v", origin, resp.StatusCode, resp.Header)
		}
		if resp, _ := p.do("POST", "/mcp", call, "Origin", origin); resp.StatusCode != http.StatusForbidden || resp.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %d %v", origin, resp.StatusCode, resp.Header)
		}
	}
	for what, c := range map[string]struct {
		token  string
		status int
	}{"none": {"", 401}, "narrow": {scoped(t, "mcp:read"), 403}, "good": {scoped(t, "mcp:read mcp:tools"), 200}} {
		resp, body := p.do("POST", "/mcp", `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"page","version":"1"}}}`,
			"Origin", app, "Authorization", "Bearer "+c.token, "Accept", "application/json, text/event-stream")
		h := resp.Header
		if resp.StatusCode != c.status || h.Get("Access-Control-Allow-Origin") != app || h.Get("Access-Control-Expose-Headers") != "Mcp-Session-Id, WWW-Authenticate" || h.Get("Vary") != "Origin" {
			t.Errorf("%s: %d %v %s", what, resp.StatusCode, h, body)
		}
	}
	if resp, _ := p.do("OPTIONS", "/mcp", "", "Authorization", "Bearer "+scoped(t, "mcp:read mcp:tools")); resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("OPTIONS that is no preflight: %d", resp.StatusCode)
	}
}
