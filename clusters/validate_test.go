package clusters_test

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/proxy/config"
)

// load decodes one cluster, given as a flow mapping, and returns the errors.
func load(t testing.TB, yaml string) (clusters.Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte("clusters:\n  - "+yaml+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var file struct {
		Clusters []clusters.Config `yaml:"clusters"`
	}
	_, err := config.Load(t.Context(), path, config.Options{Env: os.LookupEnv}, &file)
	if len(file.Clusters) == 0 {
		return clusters.Config{}, err
	}
	return file.Clusters[0], err
}

func TestConfigurationsThatCannotWorkAreRefused(t *testing.T) {
	for yaml, want := range map[string]string{
		`{name: a}`: "clusters[0]: a cluster needs endpoints, or a command",
		`{name: a, endpoints: [http://x], command: [cat]}`:               "either endpoints or a command",
		`{name: A, endpoints: [http://x]}`:                               "clusters[0].name",
		`{name: a, endpoints: [ftp://x]}`:                                "endpoints[0]: must begin with http:// or https://",
		`{name: a, endpoints: [localhost:9000]}`:                         "must begin with http:// or https://",
		`{name: a, endpoints: ["http://"]}`:                              "names no host",
		`{name: a, endpoints: ["http://u:p@x"]}`:                         "user name",
		`{name: a, endpoints: ["http://x/?q=1", "http://x/?q=2"]}`:       "endpoints[1]: the same as endpoints[0]",
		`{name: a, endpoints: ["http://x/#f"]}`:                          "fragment",
		`{name: a, endpoints: ["http://x:0"]}`:                           "port 0",
		`{name: a, endpoints: ["http://x:99999"]}`:                       "port 99999",
		`{name: a, endpoints: [http://x, "http://X/"]}`:                  "endpoints[1]: the same as endpoints[0]",
		`{name: a, endpoints: [http://x, https://y]}`:                    "share one scheme",
		`{name: a, endpoints: [http://x/a, http://y/b]}`:                 "share one path",
		`{name: a, endpoints: [http://x], tls: {}}`:                      "plain text",
		`{name: a, endpoints: [http://x], env: {A: b}}`:                  "only a command has this",
		`{name: a, endpoints: [http://x], protocols: [h2, h2]}`:          "twice",
		`{name: a, endpoints: [http://x], protocols: [h2, http/1.1]}`:    "name one",
		`{name: a, endpoints: [http://x], load_balancing: ring_hash}`:    "not supported by this version",
		`{name: a, endpoints: [http://x], circuit_breaker: {}}`:          "not supported by this version",
		`{name: a, endpoints: [http://x], headers: {Host: b}}`:           "rewrite.host",
		`{name: a, endpoints: [http://x], headers: {Connection: b}}`:     "belongs to the connection",
		`{name: a, endpoints: [http://x], headers: {"a b": b}}`:          "not a header name",
		`{name: a, endpoints: [http://x], headers: {X: "a\nb"}}`:         "line breaks",
		`{name: a, endpoints: [http://x], health_check: {interval: 0s}}`: "interval",
		`{name: a, endpoints: [http://x], mcp: {protocol: latest}}`:      "protocol",
		`{name: a, command: npx -y foo}`:                                 `command: expected a list, not a single value; write [npx, -y, foo]`,
		`{name: a, command: [no-such-program -y foo]}`:                   `in PATH; install it, or give its absolute path; each word of a command line is an item of its own: [no-such-program, -y, foo]`,
		`{name: a, command: [no-such-program]}`:                          `no program "no-such-program" in PATH`,
		`{name: a, command: [/no/such/program]}`:                         "no such file",
		`{name: a, command: [./program]}`:                                "make it absolute, or set dir",
		`{name: a, command: [/tmp]}`:                                     "is a directory",
		`{name: a, command: [/etc/passwd]}`:                              "not executable",
		`{name: a, command: [cat], dir: /no/such}`:                       "dir",
		`{name: a, command: [cat], headers: {A: b}}`:                     "no effect",
		`{name: a, command: [cat], tls: {}}`:                             "no effect",
		`{name: a, command: [cat], env: {"A=B": c}}`:                     "environment variable",
		`{name: a, command: [cat], health_check: {kind: http}}`:          "a command has only mcp",

		`{name: a, endpoints: [http://x], protocols: [h3]}`:                             "the endpoints need https://",
		`{name: a, endpoints: [https://x], protocols: [h3], proxy_protocol: v2}`:        "is for TCP",
		`{name: a, endpoints: [https://x], protocols: [h3, h2]}`:                        "h3 stands alone",
		`{name: a, endpoints: [https://x], protocols: [http/1.1, h3]}`:                  "h3 stands alone",
		`{name: a, endpoints: [https://x], protocols: [h3], health_check: {kind: tcp}}`: "use http or mcp",
	} {
		_, err := load(t, yaml)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n\tis %v\n\twant %s", yaml, err, want)
		}
	}
}

// A kind of health check is named in two places, since a tag cannot be computed.
func TestTheFileHasEveryKindOfHealthCheck(t *testing.T) {
	field, _ := reflect.TypeFor[clusters.HealthCheck]().FieldByName("Kind")
	named := strings.Split(field.Tag.Get("enum"), ",")
	var command, http3 []string
	for _, kind := range named {
		k, ok := clusters.Kinds()[kind]
		if !ok {
			t.Errorf("the enum of HealthCheck.Kind (config.go) has %s, which has no line in kinds (probe.go)", kind)
		}
		if k.Command {
			command = append(command, kind)
		}
		if k.HTTP3 {
			http3 = append(http3, kind)
		}
	}
	for kind := range clusters.Kinds() {
		if !slices.Contains(named, kind) {
			t.Errorf("kinds (probe.go) has %s, which the enum of HealthCheck.Kind (config.go) does not have", kind)
		}
	}
	want := "a command has only " + strings.Join(command, " and ") + ", HTTP/3 only " + strings.Join(http3, " and ")
	if doc := field.Tag.Get("doc"); !strings.Contains(doc, want) {
		t.Errorf("the doc of HealthCheck.Kind (config.go) is %q\n\tby kinds (probe.go) it must say %q", doc, want)
	}
}

func TestConfigurationsThatWorkAreAccepted(t *testing.T) {
	for _, yaml := range []string{
		`{name: a, endpoints: [http://x]}`,
		`{name: a, endpoints: ["https://localhost:9000/sse", "https://[::1]:9000/sse"], tls: {}}`,
		`{name: a, endpoints: [http://x], protocols: [h2], health_check: {}}`,
		`{name: a, endpoints: [https://x], protocols: [h2, http/1.1], headers: {Authorization: b}}`,
		`{name: a, endpoints: [https://x], protocols: [h3], health_check: {kind: http}, tls: {}}`,
		`{name: a, command: [cat], env: {A: b}, dir: /tmp, max_processes: 1, health_check: {}}`,
		`{name: a, endpoints: [http://x], mcp: {transport: sse, protocol: 2025-11-25}}`,
	} {
		if _, err := load(t, yaml); err != nil {
			t.Errorf("%s: %v", yaml, err)
		}
	}
}

func TestDefaultsAreTheDocumentedOnes(t *testing.T) {
	c, err := load(t, `{name: a, endpoints: [http://x], health_check: {}}`)
	if err != nil {
		t.Fatal(err)
	}
	if c.MaxProcesses != 32 || c.DNSRefresh.String() != "30s" || c.Balancing != "least_request" || c.MCP.Transport != "auto" ||
		c.ConnectTimeout.String() != "5s" || c.IdleTimeout.String() != "1m30s" || c.MaxConnectionAge != 0 {
		t.Errorf("%+v", c)
	}
	if h := c.HealthCheck; h.Kind != "mcp" || h.Path != "/" || h.Interval.String() != "10s" || h.Timeout.String() != "3s" ||
		h.Jitter != 10 || h.UnhealthyThreshold != 3 || h.HealthyThreshold != 2 {
		t.Errorf("%+v", h)
	}
}

func FuzzEndpoints(f *testing.F) {
	for _, seed := range []string{"http://x", "https://[::1]:443/a", "http://x:0", "http://%zz", "https://a b", "http://[fe80::1%25eth0]/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		var c clusters.Config
		if err := config.Defaults(&c); err != nil {
			t.Fatal(err)
		}
		c.Name, c.Endpoints = "c", []string{raw}
		set, err := clusters.NewSet([]clusters.Config{c}, nil, clusters.Options{Resolver: new(names)})
		if err != nil {
			return
		}
		defer set.Release()
		e := get(t, set, "c").Endpoints()
		if len(e) != 1 || e[0].ID() == "" || e[0].URL().Hostname() == "" || !strings.HasPrefix(e[0].URL().Scheme, "http") {
			t.Errorf("%q became %v", raw, e)
		}
	})
}
