package main_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

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

	w := newWorld(t)
	c := w.connect(t, "echo")
	n := len(c.toolNames(t))
	w.members = "one, two"
	expect(w.apply(w.yaml()), fmt.Sprintf("renames %d tool", n))
	w.members = `{name: one, tools: {deny: ["as*"]}}, two`
	expect(w.apply(w.yaml()), "hides 1 tool")
	if names := c.toolNames(t); slices.Contains(names, "ask") || !slices.Contains(names, "two__ask") {
		t.Errorf("ask of one is to be hidden, that of two is not: %v", names)
	}
	w.route = "  - match: {path: /hello}\n    respond: {status: 204}"
	if o := w.apply(w.yaml()); strings.Contains(o.Summary, "renames") {
		t.Errorf("no tool has another name: %s", o.Summary)
	}

	e := newEdge(t)
	o := open(t, e.api, e.base(), "http/1.1", client(t, e.ca.PEM(), "http/1.1"))
	status := e.status().Listeners[0]
	e.listener = "min_version: \"1.3\""
	expect(e.apply(e.yaml()), fmt.Sprintf("draining %d connections, %d streams", status.Connections, status.Streams))
	o.finish()
}
