package proxy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/listeners"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/proxy/routes"
	"github.com/mcpgateway/mcpgateway/tls"
)

// base is a state of the file; each case edits a copy of it.
func base() *Config {
	file := func(content string) config.File { return config.File{Path: "/c/" + content, Data: []byte(content)} }
	secret := func(content string) config.Secret { return config.Secret{File: file(content)} }
	c := &Config{
		Listeners: []listeners.Config{
			{Name: "public", Address: "0.0.0.0:8443", Protocols: []string{"http/1.1", "h2"}, TLS: &tls.ServerConfig{
				Certificates: []tls.KeyPair{{Cert: file("cert"), Key: secret("key")}}, MinVersion: "1.2",
				ClientAuth: tls.ClientAuth{Mode: tls.ClientAuthRequire, CACert: file("ca")}}},
			{Name: "plain", Address: "0.0.0.0:8080", Protocols: []string{"http/1.1"}},
		},
		Routes: []routes.Config{{Name: "tools", Listeners: []string{"public"}, Match: routes.Match{Path: "/mcp"}}, {Name: "/health", Health: "live"}},
		Clusters: []clusters.Config{
			{Name: "github", Endpoints: []string{"https://10.0.0.5:9000/mcp"}, TLS: &tls.ClientConfig{ClientCert: file("client"), ClientKey: secret("client key")}},
			{Name: "old", Endpoints: []string{"http://10.0.0.7"}},
		},
	}
	return c
}

// What a change is taken for decides who is drained: the golden files hold it.
func TestDiffNamesWhatUsersWillNotice(t *testing.T) {
	for name, edit := range map[string]func(c *Config){
		"nothing":            func(*Config) {},
		"moved-files":        func(c *Config) { c.Listeners[0].TLS.Certificates[0].Cert.Path = "/elsewhere" },
		"server-certificate": func(c *Config) { c.Listeners[0].TLS.Certificates[0].Cert.Data = []byte("new") },
		"client-trust":       func(c *Config) { c.Listeners[0].TLS.ClientAuth.CACert.Data = []byte("new") },
		"client-auth-mode":   func(c *Config) { c.Listeners[0].TLS.ClientAuth.Mode = tls.ClientAuthNone },
		"listener-limits":    func(c *Config) { c.Listeners[1].Limits.MaxConnections = 7 },
		"listener-address":   func(c *Config) { c.Listeners[1].Address = "0.0.0.0:8081" },
		"listener-removed":   func(c *Config) { c.Listeners = c.Listeners[:1] },
		"route-edit":         func(c *Config) { c.Routes[0].Match.Path = "/other" },
		"routes-reordered":   func(c *Config) { c.Routes[0], c.Routes[1] = c.Routes[1], c.Routes[0] },
		"cluster-identity":   func(c *Config) { c.Clusters[0].TLS.ClientCert.Data = []byte("new") },
		"cluster-endpoints": func(c *Config) {
			c.Clusters[0].Endpoints = append(c.Clusters[0].Endpoints, "https://10.0.0.6:9000/mcp")
		},
		"cluster-health":     func(c *Config) { c.Clusters[1].HealthCheck = &clusters.HealthCheck{Kind: "tcp"} },
		"clusters-exchanged": func(c *Config) { c.Clusters[1].Name = "new" },
		"settings":           func(c *Config) { c.Log.Level = "debug"; c.Drain.Timeout = 1; c.Memory.Limit.Bytes = 64 << 20 },
	} {
		t.Run(name, func(t *testing.T) {
			after := base()
			edit(after)
			plan := Diff(base(), after)
			got, err := json.MarshalIndent(struct {
				Line string
				Plan Plan
			}{plan.String(), plan}, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", "plan", name+".json")
			if os.Getenv("UPDATE_GOLDEN") != "" {
				if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if string(got)+"\n" != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}
