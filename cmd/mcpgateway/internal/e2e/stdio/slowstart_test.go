package stdio_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
)

// slowServer is a stdio server that starts once the pipe named gate is opened,
// and that exits when it is asked what it does not know, as server/discover.
const slowServer = `#!/bin/sh
echo start >> notes
[ -p gate ] && cat gate > gone
while read -r line; do
  id=$(printf '%s' "$line" | sed -n 's/.*"id":\([^,}]*\).*/\1/p')
  case $line in
  *'"server/discover"'*) exit 1 ;;
  *'"initialize"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"slow","version":"1"}}}\n' "$id" ;;
  *'"ping"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{}}\n' "$id" ;;
  esac
done
`

func TestAServerThatStartsSlowlyAndExitsOnDiscoverServes(t *testing.T) {
	t.Parallel()
	dir := harness.ShortDir(t)
	if err := os.WriteFile(filepath.Join(dir, "server"), []byte(slowServer), 0o700); err != nil {
		t.Fatal(err)
	}
	gate := filepath.Join(dir, "gate")
	if err := syscall.Mkfifo(gate, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	// More checks fail to get an answer before the server starts than make an
	// endpoint unhealthy, and each waits longer than the server takes to answer.
	g := harness.Start(t, dir, fmt.Sprintf(`
reload: {watch: false, warm_timeout: 5s}
listeners: [{name: plain, address: %q}]
routes: [{match: {path: /mcp}, mcp: {clusters: [slow]}}]
clusters:
  - name: slow
    command: [%s/server]
    dir: %s
    health_check: {interval: 10ms, timeout: 2s, unhealthy_threshold: 1}
`, address, dir, dir))
	endpoint := g.Status().Clusters[0].Endpoints[0]
	if endpoint.Health != "warming" || !strings.Contains(endpoint.Error, "is starting") {
		t.Errorf("while the process starts the endpoint is %s: %s", endpoint.Health, endpoint.Error)
	}
	pipe, err := os.OpenFile(gate, os.O_WRONLY, 0) // waits for the process
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(gate)
	pipe.Close()
	g.Eventually("the endpoint to be healthy", func() error {
		endpoint = g.Status().Clusters[0].Endpoints[0]
		if endpoint.Health != "healthy" {
			return fmt.Errorf("it is %s: %s", endpoint.Health, endpoint.Error)
		}
		return nil
	})
	if !strings.HasPrefix(endpoint.Protocol, "2025-06-18 by initialize, since server/discover: ") {
		t.Errorf("the status says of the protocol: %q", endpoint.Protocol)
	}
	table, err := harness.Command(t, "", "status", "--admin", "unix:"+g.Dir+"/a.sock").CombinedOutput()
	if err != nil || !strings.Contains(string(table), endpoint.Protocol) {
		t.Errorf("the table of the status does not say it: %v\n%s", err, table)
	}
	const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`
	req, err := http.NewRequest(http.MethodPost, "http://"+address+"/mcp", strings.NewReader(initialize))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); res.StatusCode != http.StatusOK || !strings.Contains(string(b), `"name":"slow"`) {
		t.Errorf("initialize: %s: %s %v", res.Status, b, err)
	}
	// One that exits of server/discover, a fresh one for the checks, one for
	// the session.
	notes, err := os.ReadFile(filepath.Join(dir, "notes"))
	if got := strings.Count(string(notes), "start"); err != nil || got != 3 {
		t.Errorf("%d processes were started, want 3 (%v)", got, err)
	}
}
