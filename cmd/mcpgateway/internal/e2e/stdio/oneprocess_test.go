package stdio_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
)

// sharedServer is a stdio server without sessions. It answers a call with its
// process id.
const sharedServer = `#!/bin/sh
echo start >> notes
while read -r line; do
  id=$(printf '%s' "$line" | sed -n 's/.*"id":\([^,}]*\).*/\1/p')
  case $line in
  *'"server/discover"'*) result='"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":0,"cacheScope":"private"' ;;
  *) result='"content":[{"type":"text","text":"process '$$'"}]' ;;
  esac
  [ -z "$id" ] || printf '{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete",%s}}\n' "$id" "$result"
done
`

func TestAStdioServerWithoutSessionsHasOneProcessForAllClients(t *testing.T) {
	t.Parallel()
	dir := harness.ShortDir(t)
	if err := os.WriteFile(filepath.Join(dir, "server"), []byte(sharedServer), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	yaml := fmt.Sprintf(`
reload: {watch: false}
listeners: [{name: plain, address: %q}]
routes: [{match: {path: /mcp}, mcp: {clusters: [one]}}]
clusters:
  - name: one
    command: [%s/server]
    dir: %s
`, address, dir, dir)
	g := harness.Start(t, dir, yaml)
	call := func(client string) (string, error) {
		body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",` +
			`"io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"` + client + `","version":"1"}}}}`
		req, err := http.NewRequest(http.MethodPost, "http://"+address+"/mcp", strings.NewReader(body))
		if err != nil {
			return "", err
		}
		for name, value := range map[string]string{
			"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
			"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "x",
		} {
			req.Header.Set(name, value)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		answer, err := io.ReadAll(res.Body)
		_, text, ok := strings.Cut(string(answer), `"text":"`)
		if err != nil || !ok || res.StatusCode != http.StatusOK {
			return "", fmt.Errorf("%s: %s %w", res.Status, answer, err)
		}
		text, _, _ = strings.Cut(text, `"`)
		return text, nil
	}
	calls := func() {
		t.Helper()
		first, err := call("a")
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for _, client := range []string{"a", "b"} {
			wg.Go(func() {
				for range 8 {
					if got, err := call(client); err != nil || got != first {
						t.Errorf("client %s is served by %q, want %q: %v", client, got, first, err)
					}
				}
			})
		}
		wg.Wait()
	}
	starts := func() int {
		notes, err := os.ReadFile(filepath.Join(dir, "notes"))
		if err != nil {
			t.Error(err)
		}
		return strings.Count(string(notes), "start")
	}
	calls()
	if n := starts(); n != 1 {
		t.Errorf("%d processes were started", n)
	}
	// A change of the command starts another one, and ends this one.
	g.MustApply(strings.Replace(yaml, "    dir:", "    env: {WORD: x}\n    dir:", 1))
	calls()
	if n := starts(); n != 2 {
		t.Errorf("%d processes were started after the change", n)
	}
	g.Eventually("the end of the first process", func() error {
		if e := g.Status().Clusters[0].Endpoints[0]; e.Processes != 1 {
			return fmt.Errorf("%d processes run", e.Processes)
		}
		return nil
	})
}
