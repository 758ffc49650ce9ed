package mcp

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

func TestAListOfOneClusterHasItsTime(t *testing.T) {
	hang := make(chan struct{})
	url := newScript(t, func(w http.ResponseWriter, m *jsonrpc.Message) {
		if m.Method() == spec.ToolsList {
			<-hang
		}
	}, nil)
	t.Cleanup(func() { close(hang) })
	g := newGateway(t, func(c *Config) { c.Timeouts.List = time.Second }, backend{name: "raw", endpoints: []string{url}})
	for what, headers := range map[string][]string{"session": {spec.HeaderSession, g.initialize()}, "without": nil} {
		if _, body := g.post(listBody, headers...); !strings.Contains(body, "the server did not answer in time") {
			t.Errorf("%s: %s", what, body)
		}
	}
}

// Some clients begin a list with an empty cursor, which no server has given them.
func TestAnEmptyCursorOfAClientBeginsAList(t *testing.T) {
	url := newScript(t, func(w http.ResponseWriter, m *jsonrpc.Message) {
		w.Header().Set("Content-Type", "application/json")
		if m.Params().Get("cursor").Exists() {
			_, _ = w.Write(jsonrpc.NewError(m.ID(), jsonrpc.CodeInvalidParams, "a cursor", nil))
			return
		}
		_, _ = w.Write(jsonrpc.NewResult(m.ID(), []byte(`{"tools":[{"name":"t","inputSchema":{"type":"object"}}]}`)))
	}, nil)
	for members, backends := range [][]backend{
		1: {{name: "alpha", endpoints: []string{url}, protocol: "2025-11-25"}},
		2: {{name: "alpha", endpoints: []string{url}, protocol: "2025-11-25"}, {name: "beta", endpoints: []string{url}, protocol: "2025-11-25"}},
	} {
		if members == 0 {
			continue
		}
		g := newGateway(t, nil, backends...)
		const list = `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":""%s}}`
		for era, answer := range map[string]func() (*http.Response, string){
			"session": func() (*http.Response, string) {
				return g.post(fmt.Sprintf(list, ""), spec.HeaderSession, g.initialize())
			},
			"sessionless": func() (*http.Response, string) { return g.post(fmt.Sprintf(list, "")) },
			"modern": func() (*http.Response, string) {
				return g.post(fmt.Sprintf(list, ","+modernMeta), spec.HeaderVersion, spec.Modern, spec.HeaderMethod, "tools/list")
			},
		} {
			if res, body := answer(); res.StatusCode != http.StatusOK || !strings.Contains(body, `t"`) || strings.Contains(body, "unavailable") {
				t.Errorf("%d servers, %s: %d %s", members, era, res.StatusCode, body)
			}
		}
	}
}
