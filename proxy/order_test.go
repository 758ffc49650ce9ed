package proxy

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const outOfOrder = `listeners:
  - {name: web, address: "127.0.0.1:0"}
  - {name: tls, address: "127.0.0.1:1"}
routes:
  - {name: https, listeners: [web], match: {path_prefix: /}, redirect: {scheme: https}}
  - {name: all, listeners: [all], match: {path_prefix: /api}, respond: {}}
  - name: hello
    listeners: [tls]
    match: {path: /api/hello, methods: [GET]}
    respond: {}
  - {name: other, listeners: [tls], match: {path: /other}, respond: {}}
`

func TestARouteThatNoRequestGetsToIsAWarningWithBothPlaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	check := func(yaml string) []string {
		if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
		snapshot, _ := Check(context.Background(), path, nil)
		return texts(snapshot.Warnings)
	}
	want := path + `:9:12: routes[2].match: no request gets to the route "hello": routes[1], "all" at ` + path + `:6, stands before it and matches all that it matches; put it before that one, or narrow that one's match`
	if got := check(outOfOrder); len(got) != 1 || got[0] != want {
		t.Errorf("warnings %q, want %q", got, want)
	}
	// What a mistake leaves of a match is not what is meant.
	if got := check(strings.Replace(outOfOrder, "path_prefix: /api", "path_prefix: /api, metods: [PUT]", 1)); len(got) != 0 {
		t.Errorf("warnings of a file with a mistake: %q", got)
	}
}
