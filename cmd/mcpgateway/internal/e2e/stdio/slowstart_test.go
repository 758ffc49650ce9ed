package stdio_test

import (
	"fmt"
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
	gate := filepath.Join(dir, "gate")
	if err := syscall.Mkfifo(gate, 0o600); err != nil {
		t.Fatal(err)
	}
	// More checks fail to get an answer before the server starts than make an
	// endpoint unhealthy, and each waits longer than the server takes to answer.
	g := harness.StartScript(t, dir, slowServer, "reload: {watch: false, warm_timeout: 5s}", "    health_check: {interval: 10ms, timeout: 2s, unhealthy_threshold: 1}")
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
	res, answer, err := g.Post(initialize, nil)
	if err != nil || res.StatusCode != http.StatusOK || !strings.Contains(answer, `"name":"slow"`) {
		t.Errorf("initialize: %+v: %s %v", res, answer, err)
	}
	// One that exits of server/discover, a fresh one for the checks, one for
	// the session.
	notes, err := os.ReadFile(filepath.Join(dir, "notes"))
	if got := strings.Count(string(notes), "start"); err != nil || got != 3 {
		t.Errorf("%d processes were started, want 3 (%v)", got, err)
	}
}
