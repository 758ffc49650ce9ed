package examples

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"testing"
)

func TestHTTPProxyDoesWhatItsREADMESays(t *testing.T) {
	port, echo := freePort(t), freePort(t)
	run(t, nil, filepath.Join(bin, "examples", "echo-server"), "-address", "localhost:"+echo)
	gateway := run(t, []string{"GATEWAY_PORT=" + port, "ECHO_PORT=" + echo, "ADMIN_PORT=" + freePort(t)},
		filepath.Join(bin, "mcpgateway"), "run", "-c", "examples/http-proxy/config.yaml")
	base := "http://localhost:" + port
	serving(t, gateway, base+"/health")
	serving(t, gateway, base+"/api/ready") // the server behind, too

	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()

	if resp, body := fetch(t, client, get(t, base+"/hello")); resp.StatusCode != http.StatusOK || body != "hello\n" {
		t.Errorf("/hello: %s, %q", resp.Status, body)
	}
	for range 4 {
		if resp, body := fetch(t, client, get(t, base+"/flaky")); resp.StatusCode != http.StatusOK || body != "this time\n" {
			t.Errorf("/flaky: %s, %q; want the 503 to be retried", resp.Status, body)
		}
	}
	// One of two in a row meets the 503.
	var failed int
	for range 2 {
		if resp, _ := fetch(t, client, post(t, base+"/flaky", "{}")); resp.StatusCode == http.StatusServiceUnavailable {
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("POST /flaky: %d of 2 failed, want 1: a POST is not retried", failed)
	}

	if resp, _ := fetch(t, client, get(t, base+"/old")); resp.StatusCode != http.StatusPermanentRedirect || resp.Header.Get("Location") != base+"/api" {
		t.Errorf("/old: %s to %q", resp.Status, resp.Header.Get("Location"))
	}
	if resp, _ := fetch(t, client, get(t, base+"/nowhere")); resp.StatusCode != http.StatusNotFound {
		t.Errorf("/nowhere: %s", resp.Status)
	}

	req := get(t, base+"/api/users")
	req.Header.Set("X-Secret", "s")
	resp, body := fetch(t, client, req)
	var seen struct {
		Path, Host string
		Headers    http.Header
	}
	if err := json.Unmarshal([]byte(body), &seen); err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	if seen.Path != "/users" || seen.Host != "echo.internal" {
		t.Errorf("the server saw %s on %s, want /users on echo.internal", seen.Path, seen.Host)
	}
	if seen.Headers.Get("X-Gateway") != "mcpgateway" || seen.Headers.Get("X-Secret") != "" {
		t.Errorf("the server saw the headers %v", seen.Headers)
	}
	if server := resp.Header.Get("Server"); server != "" {
		t.Errorf("the answer has Server: %s", server)
	}
}
