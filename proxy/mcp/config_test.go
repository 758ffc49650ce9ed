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
	if cfg.Clusters[0].EffectivePrefix() != "github" || cfg.Clusters[1].EffectivePrefix() != "j" || cfg.Namespace != "auto" ||
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
		"clusters: [a]\nallowed_hosts: [\"http://x/\"]\n":                                       "is more than a host name",
		"clusters: [a]\nallowed_hosts: [\"*\"]\n":                                               "is every host",
		"clusters: [a]\nallowed_hosts: [\"*example.com\"]\n":                                    "has a wildcard that is not its whole first label",
		"clusters: [a]\nallowed_hosts: [\"mcp.example.com:8443\"]\n":                            "has a port",
		"clusters: [a]\nallowed_origins: [\"https://x.example/\"]\n":                            "is not an origin",
		"clusters: [a]\nallowed_origins: [\"https://*.example.com\"]\n":                         "is not an origin",
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
