package examples

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestStdioServerIsServedOverHTTP(t *testing.T) {
	port := freePort(t)
	gateway := run(t, []string{
		"GATEWAY_PORT=" + port, "ADMIN_PORT=" + freePort(t),
		"PATH=" + filepath.Join(bin, "examples") + ":" + os.Getenv("PATH"),
	}, filepath.Join(bin, "mcpgateway"), "run", "-c", "examples/stdio/config.yaml")
	base := "http://localhost:" + port
	serving(t, gateway, base+"/health")

	resp, body := fetch(t, http.DefaultClient, post(t, base+"/mcp",
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hello"}}}`))
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, `"text":"hello"`) {
		t.Errorf("%s: %s", resp.Status, body)
	}
	gateway.says("stdio-server: ready") // its standard error is in the log

	gateway.signal(15)
	if code := gateway.wait(); code != 0 {
		t.Errorf("the gateway ended with %d", code)
	}
	noneLeft(t)
}
