package harness

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
)

// Script is a gateway with one MCP route, to a stdio server that is a shell script.
// The server runs in the gateway's folder.
type Script struct {
	*Gateway
	YAML string // the file

	url string
}

// StartScript runs the gateway in dir in front of a script. settings are the
// sections of the file besides listeners, routes and clusters; cluster has further
// lines of the cluster, if any.
func StartScript(t testing.TB, dir, script, settings, cluster string) *Script {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "server"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(t))
	s := &Script{url: "http://" + address + "/mcp", YAML: fmt.Sprintf(`
%s
listeners: [{name: plain, address: %q}]
routes: [{match: {path: /mcp}, mcp: {clusters: [script]}}]
clusters:
  - name: script
    command: [%s/server]
    dir: %s
%s
`, settings, address, dir, dir, cluster)}
	s.Gateway = Start(t, dir, s.YAML)
	return s
}

// Post sends a message with further headers, and reads the whole answer.
func (s *Script) Post(body string, headers map[string]string) (*http.Response, string, error) {
	req, err := http.NewRequest(http.MethodPost, s.url, strings.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	res, err := (&http.Client{Timeout: 20 * time.Second}).Do(req)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", body, err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	return res, string(answer), err
}
