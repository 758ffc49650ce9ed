package spiffe_test

import (
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/tls/spiffe"
)

func TestSocketIsCheckedBeforeItIsDialled(t *testing.T) {
	for socket, want := range map[string]string{
		"unix:///run/spire/agent.sock": "",
		"unix:/run/spire/agent.sock":   "",
		"/run/spire/agent.sock":        "",
		"/run/my dir/50%?.sock":        "",
		"tcp://127.0.0.1:8081":         "",
		"tcp://[::1]:8081":             "",

		"":                             "no socket is given",
		"agent.sock":                   "want unix:///absolute/path",
		"unix:agent.sock":              "no absolute path",
		"unix://run/agent.sock":        "write unix:///run/agent.sock with three slashes",
		"unix://":                      "no absolute path",
		"unix:///run/":                 "is a directory's path",
		"unix:///run/a.sock?x=1":       "must not include query values",
		"unix:///run/a.sock#x":         "must not include a fragment",
		"unix:///run/%00":              "NUL",
		"/" + strings.Repeat("x", 200): "the path has 201 bytes",
		"tcp://localhost:8081":         "the host must be an IP address",
		"tcp://127.0.0.1":              "must include a port",
		"tcp://127.0.0.1:1/x":          "must not include a path",
		"http://127.0.0.1:1":           "cannot be used",
		"unix://%zz":                   "is no URI",
	} {
		err := spiffe.CheckSocket(socket)
		if want == "" {
			if err != nil {
				t.Errorf("%q: %v", socket, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error is %v, want %q", socket, err, want)
		}
		if _, got := spiffe.NewSources(nil, nil).Get(t.Context(), socket); got == nil || err == nil || got.Error() != err.Error() {
			t.Errorf("%q: Get says %v", socket, got)
		}
	}
}
