package reload_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/proxy/admin"
)

// The line of a reload names what users will notice of it.
func TestThePlanNamesWhatUsersWillNotice(t *testing.T) {
	t.Parallel()
	expect := func(o admin.Outcome, want string) {
		t.Helper()
		if o.Result != admin.Applied || !strings.Contains(o.Summary, want) {
			t.Errorf("%s: %s %q; want %q in it", o.Result, o.Summary, o.Errors, want)
		}
	}

	w := harness.NewWorld(t)
	c := w.Connect(t, "echo")
	n := len(c.ToolNames(t))
	w.Members = "one, two"
	expect(w.Apply(w.YAML()), fmt.Sprintf("renames %d tool", n))
	w.Members = `{name: one, tools: {deny: ["as*"]}}, two`
	expect(w.Apply(w.YAML()), "hides 1 tool")
	if names := c.ToolNames(t); slices.Contains(names, "ask") || !slices.Contains(names, "two__ask") {
		t.Errorf("ask of one is to be hidden, that of two is not: %v", names)
	}
	w.Route = "  - match: {path: /hello}\n    respond: {status: 204}"
	if o := w.Apply(w.YAML()); strings.Contains(o.Summary, "renames") {
		t.Errorf("no tool has another name: %s", o.Summary)
	}

	e := harness.NewEdge(t)
	o := harness.Open(t, e.API, e.Base(), "http/1.1", harness.Client(t, e.CA.PEM(), "http/1.1"))
	status := e.Status().Listeners[0]
	e.Listener = "min_version: \"1.3\""
	expect(e.Apply(e.YAML()), fmt.Sprintf("draining %d connections, %d streams", status.Connections, status.Streams))
	o.Finish()
}
