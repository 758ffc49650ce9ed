package downstream

import (
	"context"
	cryptotls "crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// remoteRequest is a request that came over a network, for host.
func remoteRequest(host string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/mcp", nil)
	r.Host = host
	return r
}

// loopbackRequest is a request that came over loopback, for host.
func loopbackRequest(host string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/mcp", nil)
	r.Host = host
	local := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}
	return r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local))
}

func guardOf(t *testing.T, hosts, origins []string) *guard {
	t.Helper()
	g, err := newGuard(hosts, origins, nil)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGuard(t *testing.T) {
	for _, c := range []struct {
		configured   []string
		origins      []string
		host, origin string
		ok           bool
	}{
		{nil, nil, "127.0.0.1:80", "", true},
		{nil, nil, "localhost", "http://localhost:1234", true},
		{nil, nil, "[::1]:80", "", true},
		{nil, nil, "evil.example.com", "", false},
		{nil, nil, "localhost", "http://evil.example.com", false},
		{nil, nil, "localhost", "null", false},
		{nil, nil, "localhost", "chrome-extension://localhost", false},
		{[]string{"mcp.example.com"}, nil, "MCP.example.com:8443", "http://mcp.example.com:8443", true},
		{[]string{"mcp.example.com"}, nil, "localhost", "", false},
		{[]string{"*.example.com"}, nil, "a.example.com", "", true},
		{[]string{"*.example.com"}, nil, "example.com", "", false},
		{nil, []string{"https://app.example.com"}, "localhost", "https://app.example.com", true},
		{nil, []string{"https://app.example.com"}, "localhost", "http://localhost", false},
	} {
		r := loopbackRequest(c.host)
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		g := guardOf(t, c.configured, c.origins)
		if reason := g.check(r); (reason == "") != c.ok {
			t.Errorf("%+v: %q", c, reason)
		}
	}
}

// A page of evil.example whose name was rebound to the gateway's address sends a
// Host and an Origin that agree.
func TestAReboundNameIsRefusedOffLoopback(t *testing.T) {
	for _, c := range []struct {
		hosts, origins []string
		host, origin   string
		secure         bool
		reason         string // "" passes
	}{
		{nil, nil, "evil.example", "", false, ""},
		{nil, nil, "evil.example", "http://evil.example", false, "names no host"},
		{nil, nil, "evil.example:8080", "http://evil.example:8080", false, "names no host"},
		{nil, nil, "evil.example", "https://evil.example", true, "names no host"},
		{nil, nil, "localhost", "http://localhost", false, "names no host"},
		{nil, nil, "10.0.0.1", "http://10.0.0.1", false, "names no host"},
		{nil, nil, "mcp.example.com", "null", false, "this origin"},

		{[]string{"mcp.example.com"}, nil, "evil.example", "http://evil.example", false, "this host"},
		{[]string{"mcp.example.com"}, nil, "mcp.example.com", "https://mcp.example.com", true, ""},
		{[]string{"mcp.example.com"}, nil, "mcp.example.com.", "https://MCP.example.com:443", true, ""},
		{[]string{"mcp.example.com"}, nil, "mcp.example.com:8443", "https://mcp.example.com:8443", true, ""},
		{[]string{"mcp.example.com"}, nil, "mcp.example.com", "http://mcp.example.com", true, "scheme"},
		{[]string{"mcp.example.com"}, nil, "mcp.example.com", "https://mcp.example.com", false, "scheme"},
		{[]string{"mcp.example.com"}, nil, "mcp.example.com", "https://mcp.example.com:8443", true, "port"},
		{[]string{"mcp.example.com"}, nil, "mcp.example.com", "https://other.example.com", true, "name"},
		{[]string{"*.example.com"}, nil, "evilexample.com", "https://evilexample.com", true, "this host"},

		{nil, []string{"https://app.example.com"}, "anything", "https://app.example.com", false, ""},
		{nil, []string{"https://App.example.com:443"}, "anything", "https://app.example.com", false, ""},
		{nil, []string{"https://app.example.com"}, "anything", "https://app.example.com:444", false, "allowed_origins"},
		{nil, []string{"https://app.example.com"}, "anything", "http://app.example.com", false, "allowed_origins"},
		{nil, []string{"https://app.example.com"}, "evil.example", "http://evil.example", false, "allowed_origins"},
		{nil, []string{"vscode-webview://0Abc"}, "anything", "vscode-webview://0abc", false, ""},
	} {
		r := remoteRequest(c.host)
		if c.secure {
			r.TLS = &cryptotls.ConnectionState{}
		}
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		g := guardOf(t, c.hosts, c.origins)
		if reason := g.check(r); (reason == "") != (c.reason == "") || !strings.Contains(reason, c.reason) {
			t.Errorf("%+v: %q", c, reason)
		}
	}
}

func TestHostsThatWouldLetEveryoneInAreRefused(t *testing.T) {
	for _, pattern := range []string{"*", "*example.com", "", "*."} {
		if _, err := newGuard([]string{pattern}, nil, nil); err == nil {
			t.Errorf("%q is accepted", pattern)
		}
	}
}

func TestOriginsAreReadAsBrowsersWriteThem(t *testing.T) {
	for text, want := range map[string]origin{
		"https://app.example.com":     {"https", "app.example.com", "443"},
		"HTTPS://APP.example.com:443": {"https", "app.example.com", "443"},
		"http://[::1]:8080":           {"http", "::1", "8080"},
		"http://[::1]":                {"http", "::1", "80"},
		"app://.":                     {"app", ".", ""},
	} {
		if got, err := parseOrigin(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "null", "*", "app.example.com", "https://", "://x", "https://x/", "https://x?q", "https://x#f", "https://u@x", "https://x:", "https://x:0",
		"https://x:123456", "https://x y", "https://x, https://y", "https://*.example.com", "http://::1",
	} {
		if got, err := parseOrigin(text); err == nil {
			t.Errorf("%q is %+v", text, got)
		}
	}
}
