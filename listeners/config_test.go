package listeners

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/tls"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

func TestEachMistakeOfAListenerHasItsOwnError(t *testing.T) {
	for yaml, want := range map[string]string{
		"{name: a, address: 'localhost:8443'}":                                  "",
		"{name: a, address: 'unix:/run/a.sock', trusted_proxies: [10.0.0.0/8]}": "",
		"{name: a, address: 'unix:/x', proxy_protocol: {from: [10.0.0.0/8]}}":   "l.proxy_protocol.from: a unix socket",
		"{name: all, address: ':1'}":                                            `l.name: "all" is what`,
		"{name: a, address: localhost}":                                         "l.address: \"localhost\" is not host:port",
		"{name: a, address: 'systemd:web'}":                                     "l.address: systemd sockets are not supported by this version",
		"{name: a, address: 'unix:a.sock'}":                                     "must be absolute",
		"{name: a, address: ':1', protocols: []}":                               "l.protocols: at least one",
		"{name: a, address: ':1', protocols: [h2, h3], tls: {certificates: [{acme: [a.test]}]}, proxy_protocol: {from: [10.0.0.0/8]}}": "runs over UDP",
		"{name: a, address: ':1', protocols: [h3], tls: {certificates: [{acme: [a.test]}]}}":                                           "h3 stands beside http/1.1 or h2",
		"{name: a, address: 'unix:/x', protocols: [h2, h3], tls: {certificates: [{acme: [a.test]}]}}":                                  "needs a UDP port",
		"{name: a, address: ':1', protocols: [h2, h3]}":                                                                                "h3 needs tls",
		"{name: a, address: ':1', limits: {idle_timeout: 0s}}":                                                                         "l.limits.idle_timeout",
		"{name: a, address: 'unix:/x', trusted_proxies: [unix]}":                                                                       "",
		"{name: a, address: ':1', trusted_proxies: [unix]}":                                                                            "l.trusted_proxies: unix means",
		"{name: a, address: 'unix:/x', trusted_proxies: [Unix]}":                                                                       "l.trusted_proxies[0]",
		"{name: a, address: ':1', trusted_proxies: [10.0.0.1]}":                                                                        "l.trusted_proxies[0]",
	} {
		path := tlstest.WriteFile(t, t.TempDir(), "config.yaml", []byte("l: "+yaml+"\n"))
		var dst struct {
			L Config `yaml:"l"`
		}
		_, err := config.Load(context.Background(), path, config.Options{}, &dst)
		var errs config.Errors
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", yaml, err)
		case want != "" && (!errors.As(err, &errs) || len(errs) != 1 || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: got %v, want one error with %q", yaml, err, want)
		}
	}
}

func TestDefinitionFingerprintCoversWhatNeedsANewServer(t *testing.T) {
	base := func() Config {
		cfg := listenerConfig(t)
		cfg.TLS = &tls.ServerConfig{MinVersion: "1.2"}
		return cfg
	}
	first := base()
	for _, c := range []struct {
		name   string
		change func(*Config)
		same   bool
	}{
		{"nothing", func(*Config) {}, true},
		{"certificates", func(c *Config) { c.TLS.Certificates = make([]tls.KeyPair, 1) }, true},
		{"accepted names", func(c *Config) { c.TLS.ClientAuth.AllowedNames = []string{"x"} }, true},
		{"mode", func(c *Config) { c.TLS.ClientAuth.Mode = tls.ClientAuthRequire }, false},
		{"min_version", func(c *Config) { c.TLS.MinVersion = "1.3" }, false},
		{"plain text", func(c *Config) { c.TLS = nil }, false},
		{"protocols", func(c *Config) { c.Protocols = []string{"h2"} }, false},
		{"limits", func(c *Config) { c.Limits.MaxConnections++ }, false},
	} {
		cfg := base()
		c.change(&cfg)
		if same := cfg.DefinitionFingerprint() == first.DefinitionFingerprint(); same != c.same {
			t.Errorf("%s: same is %v", c.name, same)
		}
	}
}

func TestConflictingAddressesAreSeenWithoutBindingThem(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"127.0.0.1:80", "127.0.0.1:81", ""},
		{"127.0.0.1:80", "127.0.0.1:80", "is also the address of"},
		{"127.0.0.1:0", "127.0.0.1:0", ""},
		{"localhost:80", "localhost:80", "is also the address of"},
		{"localhost:0", "localhost:0", ""},
		{"localhost:80", "127.0.0.1:80", ""}, // only DNS knows
		{":80", "[::]:80", "is also the address of"},
		{":80", "0.0.0.0:80", "overlaps"},
		{"127.0.0.1:80", "0.0.0.0:80", "overlaps"},
		{"[::1]:80", "0.0.0.0:80", ""}, // bound for IPv4 only
		{"unix:/run/a", "unix:/run/./a", "is also the address of"},
		{"unix:/run/a", "127.0.0.1:80", ""},
		{"", "", ""},
	} {
		for _, got := range []string{Conflict(c.a, c.b), Conflict(c.b, c.a)} {
			if got != c.want {
				t.Errorf("%s, %s: %q, want %q", c.a, c.b, got, c.want)
			}
		}
	}
}
