package mcp

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/proxy/config"
)

func load(t *testing.T, yaml string) (*Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	var cfg Config
	_, err := config.Load(context.Background(), path, config.Options{}, &cfg)
	return &cfg, err
}

func TestConfigDefaults(t *testing.T) {
	cfg, err := load(t, "clusters: [github, {name: jira, prefix: j}]\n")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Clusters[0].prefix() != "github" || cfg.Clusters[1].prefix() != "j" || cfg.Namespace != "auto" ||
		cfg.Limits.Message != 4<<20 || cfg.Limits.Pending != 64 || cfg.Timeouts.List.String() != "10s" {
		t.Errorf("%+v", cfg)
	}
}

func TestConfigMistakes(t *testing.T) {
	for yaml, want := range map[string]string{
		"clusters: []\n":                                                                        "no cluster",
		"clusters: [a, a]\n":                                                                    `"a" is named twice`,
		"clusters: [a, {name: b, prefix: a}]\n":                                                 `the prefix "a" is taken by clusters[0]`,
		"clusters: [{name: b, prefix: a_b}]\n":                                                  "prefix",
		"clusters: [a]\nversions: [2025-11-25, 2025-11-25]\n":                                   "is named twice",
		"clusters: [a]\nversions: [2024-11-05]\n":                                               "versions",
		"clusters: [a]\nnamespace: some\n":                                                      "namespace",
		"clusters: [a]\nallowed_hosts: [\"http://x/\"]\n":                                       "is not a host name",
		"clusters: [a]\nallowed_origins: [\"*\"]\n":                                             "would let every web page call",
		"clusters: [a]\nallowed_origins: [\"x.example\"]\n":                                     "is not an origin",
		"clusters: [a]\nforward_headers: [Authorization]\n":                                     "never goes upstream",
		"clusters: [a]\nforward_headers: [Mcp-Session-Id]\n":                                    "never goes upstream",
		"clusters: [a]\nforward_headers: [\"a b\"]\n":                                           "is not a header name",
		"clusters: [a]\nresume: {events: -1}\n":                                                 "events",
		"clusters: [{name: a, tools: {allow: []}}]\n":                                           "allows no tool at all",
		"clusters: [{name: a, tools: {deny: [\"a?\"]}}]\n":                                      "only * is special",
		"clusters: [a]\nresource: {url: \"http://x.example/mcp\", authorization_servers: []}\n": "plain http is for loopback only",
		"clusters: [a]\nlimits: {message: 1}\n":                                                 "message",
	} {
		if _, err := load(t, yaml); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", yaml, err, want)
		}
	}
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
		{[]string{"mcp.example.com"}, nil, "MCP.example.com:8443", "https://mcp.example.com", true},
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
		g := newGuard(&Config{AllowedHosts: c.configured, AllowedOrigins: c.origins}, nil)
		if reason := g.check(r); (reason == "") != c.ok {
			t.Errorf("%+v: %q", c, reason)
		}
	}
}
