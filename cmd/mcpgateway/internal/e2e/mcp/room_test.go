package mcp_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
)

// Clients that never end their sessions take the room of their own sessions
// only: others begin sessions, make single calls, and keep what they use.
func TestForgottenSessionsLockNobodyOut(t *testing.T) {
	w := harness.NewWorld(t)
	w.MCP = ", limits: {sessions: 8}"
	w.MustApply(w.YAML())
	busy := w.Connect(t, "echo")
	hc := harness.Client(t, w.CA.PEM(), "h2")
	const initialize = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}`
	var ids []string
	for i := range 40 {
		res, answer := w.PostMCP(t, hc, initialize)
		if res.StatusCode != http.StatusOK {
			t.Fatalf("session %d: %d %s", i, res.StatusCode, answer)
		}
		ids = append(ids, res.Header.Get("Mcp-Session-Id"))
	}
	const list = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
	if res, answer := w.PostMCP(t, hc, list); res.StatusCode != http.StatusOK {
		t.Errorf("a single call: %d %s", res.StatusCode, answer)
	}
	if res, answer := w.PostMCP(t, hc, list, "Mcp-Session-Id", ids[0]); res.StatusCode != http.StatusNotFound {
		t.Errorf("a session that was forgotten: %d %s", res.StatusCode, answer)
	}
	if res, answer := w.PostMCP(t, hc, list, "Mcp-Session-Id", ids[39]); res.StatusCode != http.StatusOK {
		t.Errorf("the last session: %d %s", res.StatusCode, answer)
	}
	busy.More(t, 3) // a session with a stream was never evicted
}

// shellServer is an MCP server of the standard input and output.
const shellServer = `while IFS= read -r line; do
	id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
	case $line in
	*'"initialize"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"shell","version":"1"}}}\n' "$id" ;;
	*'"server/discover"'*) printf '{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"unknown method"}}\n' "$id" ;;
	*'"tools/list"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"tools":[{"name":"hello","inputSchema":{"type":"object"}}]}}\n' "$id" ;;
	*'"id":'*) printf '{"jsonrpc":"2.0","id":%s,"result":{}}\n' "$id" ;;
	esac
done
`

// The processes of idle sessions are for those that have calls, and operators see
// how many there are.
func TestForgottenSessionsGiveTheirProcessesToOthers(t *testing.T) {
	w := harness.NewWorld(t)
	harness.WriteFile(t, w.Dir, "server.sh", []byte(shellServer))
	w.More = "  - name: shell\n    command: [sh, server.sh]\n    max_processes: 2\n"
	w.Members = "shell"
	w.MustApply(w.YAML())
	hc := harness.Client(t, w.CA.PEM(), "h2")
	const initialize = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}`
	const list = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
	var ids []string
	for i := range 5 {
		res, answer := w.PostMCP(t, hc, initialize)
		if res.StatusCode != http.StatusOK {
			t.Fatalf("session %d: %d %s", i, res.StatusCode, answer)
		}
		ids = append(ids, res.Header.Get("Mcp-Session-Id"))
	}
	for i, id := range ids {
		if res, answer := w.PostMCP(t, hc, list, "Mcp-Session-Id", id); res.StatusCode != http.StatusOK || !strings.Contains(answer, "hello") {
			t.Errorf("session %d is used again: %d %s", i, res.StatusCode, answer)
		}
	}
	for _, c := range w.Status().Clusters {
		if e := c.Endpoints[0]; c.Name == "shell" && (e.Processes != 2 || e.MaxProcesses != 2 || e.Waiting != 0) {
			t.Errorf("status: %+v", e)
		}
	}
	if text, err := w.Metrics(); err != nil || !strings.Contains(text, `mcpgateway_cluster_processes{cluster="shell"} 2`) {
		t.Errorf("the metrics have no number of processes (%v)", err)
	}
}
