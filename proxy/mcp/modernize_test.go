package mcp

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// hinting is a server without sessions that says how long its lists may be
// kept.
func hinting(t testing.TB, name, hint string) backend {
	url := newScript(t, func(w http.ResponseWriter, m *jsonrpc.Message) {
		result := `{"resultType":"complete","tools":[{"name":"t","inputSchema":{"type":"object"}}]` + hint + `}`
		if m.Method() == "server/discover" {
			result = `{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}` + hint + `}`
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(jsonrpc.NewResult(m.ID(), []byte(result)))
	}, nil)
	return backend{name: name, endpoints: []string{url}, protocol: spec.Modern}
}

func (g *gateway) modernResult(method, more string) jsonrpc.Value {
	g.t.Helper()
	_, answer := g.post(fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":{%s%s}}`, method, modernMeta, more), spec.HeaderVersion, spec.Modern, spec.HeaderMethod, method)
	m, err := jsonrpc.Parse([]byte(answer))
	if err != nil || m.IsError() {
		g.t.Fatalf("%s: %q, %v", method, answer, err)
	}
	return m.Result()
}

func TestWhatIsMergedMayBeKeptAsShortlyAsItsParts(t *testing.T) {
	const public, private = `,"ttlMs":30000,"cacheScope":"public"`, `,"ttlMs":90000,"cacheScope":"private"`
	down := backend{name: "down", endpoints: []string{"http://127.0.0.1:1/mcp"}}
	for name, test := range map[string]struct {
		backends []backend
		want     string
	}{
		"one cluster as it says":    {[]backend{hinting(t, "a", private)}, "90000 private"},
		"the shorter one":           {[]backend{hinting(t, "a", public), hinting(t, "b", `,"ttlMs":50000,"cacheScope":"public"`)}, "30000 public"},
		"a minute at most":          {[]backend{hinting(t, "a", private), hinting(t, "b", private)}, "60000 private"},
		"private if one is":         {[]backend{hinting(t, "a", public), hinting(t, "b", private)}, "30000 private"},
		"not where one has no hint": {[]backend{hinting(t, "a", public), newServer(t, "b").backend("b")}, "0 "},
		"not where one is missing":  {[]backend{hinting(t, "a", public), hinting(t, "b", public), down}, "0 private"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, bridging, test.backends...)
			for _, method := range []string{"tools/list", "server/discover"} {
				res := g.modernResult(method, "")
				got := string(res.Get("ttlMs").Raw()) + " " + res.Get("cacheScope").String()
				if !strings.HasPrefix(got, test.want) || res.Get("resultType").String() != "complete" {
					t.Errorf("%s: %s, want %s", method, got, test.want)
				}
			}
		})
	}
}

func TestUnknownMethodsPassToOneClusterOnly(t *testing.T) {
	url := newScript(t, func(w http.ResponseWriter, m *jsonrpc.Message) {
		w.Header().Set("Content-Type", "application/json")
		answer := jsonrpc.NewError(m.ID(), jsonrpc.CodeMethodNotFound, "not here", nil)
		if m.Method() == "vendor/thing" {
			answer = jsonrpc.NewResult(m.ID(), []byte(`{"thing":1}`))
		}
		_, _ = w.Write(answer)
	}, nil)
	one := backend{name: "alpha", endpoints: []string{url}}
	for name, test := range map[string]struct {
		backends []backend
		want     string
	}{
		"one cluster":  {[]backend{one}, `"thing":1`},
		"a federation": {[]backend{one, newServer(t, "beta").backend("beta")}, `"code":-32601`},
	} {
		g := newGateway(t, nil, test.backends...)
		const body = `{"jsonrpc":"2.0","id":1,"method":"vendor/thing","params":{%s}}`
		for era, answer := range map[string]string{
			"a session": second(g.post(fmt.Sprintf(body, ""), spec.HeaderSession, g.initialize())),
			"none":      second(g.post(fmt.Sprintf(body, modernMeta), spec.HeaderVersion, spec.Modern, spec.HeaderMethod, "vendor/thing")),
		} {
			if !strings.Contains(answer, test.want) {
				t.Errorf("%s, %s: %s", name, era, answer)
			}
		}
	}
}

func second(_ *http.Response, body string) string { return body }
