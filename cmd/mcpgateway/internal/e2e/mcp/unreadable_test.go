package mcp_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
)

// oddServer is a stdio server that writes what programs write: the tool's name
// says what comes in answer to its call.
const oddServer = `#!/bin/sh
echo 'Starting up: {"level":"info"}'
while read -r line; do
  id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
  case $line in
  *'"server/discover"'*) printf '{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no"}}\n' "$id" ;;
  *'"initialize"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"odd","version":"1"}}}\n' "$id" ;;
  *'"ping"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{}}\n' "$id" ;;
  *'"name":"string"'*) printf '{"jsonrpc":"2.0","id":"%s","result":{"content":[],"taken":true}}\n' "$id" ;;
  *'"name":"byte"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"\377"}]}}\n' "$id" ;;
  *'"name":"note"'*) printf '{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"\377"}}\n{"jsonrpc":"2.0","id":%s,"result":{"content":[],"noted":true}}\n' "$id" ;;
  *'"name":"nan"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"content":[],"structuredContent":{"n":NaN}}}\n' "$id" ;;
  *'"name":"null"'*) printf '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"too odd for me"}}\n' ;;
  *'"name":"big"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"content":[],"text":"' "$id"; head -c 5000000 /dev/zero | tr '\0' x; printf '"}}\n' ;;
  *'"name":"huge"'*) printf '{"result":{"content":[],"text":"'; head -c 17000000 /dev/zero | tr '\0' x; printf '"},"jsonrpc":"2.0","id":%s}\n' "$id" ;;
  *'"name":"later"'*) later=$id; echo later has come >&2 ;;
  *'"name":"release"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"content":[],"late":1}}\n{"jsonrpc":"2.0","id":%s,"result":{}}\n' "$later" "$id" ;;
  *'"name":"cut"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"content":\n' "$id" ;;
  esac
done
`

// odd starts a gateway in front of an oddServer, and begins a session. call
// calls a tool of it and returns what the client got.
func odd(t *testing.T) (g *harness.Gateway, call func(tool string) string) {
	s := harness.StartScript(t, harness.ShortDir(t), oddServer, "reload: {watch: false}\nlog: {level: debug}", "")
	post := func(session, body string) (*http.Response, string) {
		t.Helper()
		headers := map[string]string{"Accept": "application/json"}
		if session != "" {
			headers["Mcp-Session-Id"] = session
		}
		res, answer, err := s.Post(body, headers)
		if err != nil {
			t.Fatal(err)
		}
		return res, answer
	}
	res, body := post("", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`)
	session := res.Header.Get("Mcp-Session-Id")
	if session == "" {
		t.Fatalf("initialize: %s: %s", res.Status, body)
	}
	return s.Gateway, func(tool string) string {
		_, body := post(session, fmt.Sprintf(`{"jsonrpc":"2.0","id":"mine","method":"tools/call","params":{"name":%q}}`, tool))
		return body
	}
}

func TestAnswersThatCannotBeReadEndTheirCallsAtOnce(t *testing.T) {
	g, call := odd(t)
	for tool, want := range map[string]string{
		"string": `"taken":true`, "byte": "invalid UTF-8", "nan": "the server's answer could not be read: ",
		"null": "too odd for me", "note": `"noted":true`, "cut": "the server's answer could not be read: ",
	} {
		body := call(tool)
		if !strings.Contains(body, want) || !strings.Contains(body, `"id":"mine"`) {
			t.Errorf("%s: %s, want %s", tool, body, want)
		}
	}
	if !strings.Contains(g.Logs.String(), "Starting up") {
		t.Error("the log does not say what the server wrote besides messages")
	}
	g.Eventually("the log to warn of the notification that is lost", func() error {
		for _, line := range g.LogLines() {
			if line["level"] == "warn" && strings.HasPrefix(fmt.Sprint(line["error"]), "notifications/message: ") {
				return nil
			}
		}
		return errors.New("it does not")
	})
	if m, err := g.Metrics(); err != nil || !strings.Contains(m, `mcpgateway_mcp_ignored_total{cluster="script"} `) {
		t.Errorf("what was ignored is not counted (%v)", err)
	}
}

func TestAResultOverTheLimitCostsItsCallAlone(t *testing.T) {
	g, call := odd(t)
	late := make(chan string, 1)
	go func() { late <- call("later") }()
	g.Eventually("the first call to reach the server", func() error {
		if !strings.Contains(g.Logs.String(), "later has come") {
			return fmt.Errorf("it has not come")
		}
		return nil
	})
	if body := call("big"); len(body) < 5000000 || strings.Contains(body, `"error"`) {
		t.Errorf("a result within the limit: %.200s", body)
	}
	if body := call("huge"); !strings.Contains(body, "limits.result (16MiB)") || !strings.Contains(body, `"id":"mine"`) {
		t.Errorf("a result over the limit: %.200s", body)
	}
	// The process is the same: it knows the other call.
	if body := call("release"); !strings.Contains(body, `"result"`) {
		t.Errorf("the next call: %.200s", body)
	}
	if body := <-late; !strings.Contains(body, `"late":1`) {
		t.Errorf("the call that was in flight: %.200s", body)
	}
}
