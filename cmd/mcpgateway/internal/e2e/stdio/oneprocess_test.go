package stdio_test

import (
	"fmt"
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
	g := harness.StartScript(t, dir, sharedServer, "reload: {watch: false}", "")
	call := func(client string) (string, error) {
		body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",` +
			`"io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"` + client + `","version":"1"}}}}`
		res, answer, err := g.Post(body, map[string]string{"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "x"})
		if err != nil {
			return "", err
		}
		_, text, ok := strings.Cut(answer, `"text":"`)
		if !ok || res.StatusCode != http.StatusOK {
			return "", fmt.Errorf("%s: %s", res.Status, answer)
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
	g.MustApply(strings.Replace(g.YAML, "    dir:", "    env: {WORD: x}\n    dir:", 1))
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
