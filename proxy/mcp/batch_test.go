package mcp

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

func TestABatchIsAnsweredByOneArray(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, func(c *Config) { c.Limits.Pending = 8 }, a.backend("alpha"))
	res, _ := g.post(initOf(spec.Batches))
	id := res.Header.Get(spec.HeaderSession)
	for _, c := range []struct {
		name, accept, body string
		status             int
		want               []string
	}{
		{"two calls and a notification", "application/json",
			`[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami"}},{"jsonrpc":"2.0","method":"notifications/initialized"},{"jsonrpc":"2.0","id":"1","method":"ping"}]`,
			200, []string{`{"jsonrpc":"2.0","id":1,"result":{"content"`, `},{"jsonrpc":"2.0","id":"1","result":{}}]`}},
		{"notifications alone", "*/*", `[{"jsonrpc":"2.0","method":"notifications/initialized"},{"jsonrpc":"2.0","id":9,"result":{}}]`, 202, nil},
		{"invalid members", "application/json", `[1,{"jsonrpc":"2.0","id":2,"method":"ping"},{"foo":1},[]]`, 200,
			[]string{`[{"jsonrpc":"2.0","id":null,"error":{"code":-32600`, `{"jsonrpc":"2.0","id":2,"result":{}}`}},
		{"nothing but invalid members", "application/json", `[1,2]`, 400, []string{`[{"jsonrpc":"2.0","id":null,"error":{"code":-32600`}},
		{"initialize", "application/json", `[` + initBody + `,{"jsonrpc":"2.0","id":2,"method":"ping"}]`, 200, []string{`[{"jsonrpc":"2.0","id":0,"error":{"code":-32600`, `"id":2,"result":{}`}},
		{"empty", "application/json", `[]`, 400, []string{`{"jsonrpc":"2.0","id":null,"error":{"code":-32600`}},
		{"too many", "application/json", `[` + strings.Repeat(`{"jsonrpc":"2.0","id":2,"method":"ping"},`, 8) + `1]`, 400, []string{`-32600`, `too many`}},
		{"no JSON", "application/json", `[{"jsonrpc":"2.0"`, 400, []string{`-32700`}},
		{"by stream", "text/event-stream", `[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"steps","_meta":{"progressToken":5}}},{"jsonrpc":"2.0","id":2,"method":"ping"}]`,
			200, []string{`"progressToken":5`, `data: [{"jsonrpc":"2.0","id":1`, `,{"jsonrpc":"2.0","id":2,"result":{}}]`}},
	} {
		res, body := g.post(c.body, spec.HeaderSession, id, "Accept", c.accept)
		if res.StatusCode != c.status {
			t.Errorf("%s: %d %s", c.name, res.StatusCode, body)
		}
		if c.status == http.StatusAccepted && body != "" {
			t.Errorf("%s: %s", c.name, body)
		}
		for _, want := range c.want {
			if !strings.Contains(body, want) {
				t.Errorf("%s: %s, want %s", c.name, body, want)
			}
		}
		if c.accept == "application/json" && !json.Valid([]byte(body)) {
			t.Errorf("%s: %s", c.name, body)
		}
	}
}

func TestBatchesAreOfOneRevision(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, nil, a.backend("alpha"))
	const batch = `[{"jsonrpc":"2.0","id":1,"method":"ping"}]`
	for _, version := range []string{"2025-06-18", "2025-11-25"} {
		res, _ := g.post(initOf(version))
		if res, body := g.post(batch, spec.HeaderSession, res.Header.Get(spec.HeaderSession)); res.StatusCode != 400 || !strings.Contains(body, "-32600") {
			t.Errorf("%s: %d %s", version, res.StatusCode, body)
		}
	}
	if res, body := g.post(batch); res.StatusCode != 400 || !strings.Contains(body, "-32600") {
		t.Errorf("without a session: %d %s", res.StatusCode, body)
	}
}
