package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestStagesAreComparedWithTheDirectConnection(t *testing.T) {
	const lost = "gone"
	type outcome = map[string]string
	used, restarted := &stage{name: "used", outcomes: []string{"echo", "log"}}, &stage{name: "restarted", outcomes: []string{"restarted"}, promised: true}
	for _, tc := range []struct {
		name                    string
		stage                   *stage
		direct, one, federation outcome
		want                    string
		lost                    int
	}{
		{"all is well", used, outcome{"echo": "ok", "log": "ok"}, outcome{"echo": "ok", "log": "ok"}, outcome{"echo": "ok", "log": "ok"}, "same", 0},
		{"as bad as directly", used, outcome{"echo": "ok", "log": lost}, outcome{"echo": "ok", "log": lost}, outcome{"echo": "ok", "log": lost}, "same", 0},
		{"better than directly", used, outcome{"echo": "ok", "log": lost}, outcome{"echo": "ok", "log": "ok"}, outcome{"echo": "ok", "log": lost}, "kept", 0},
		{"worse in one cluster", used, outcome{"echo": "ok", "log": lost}, outcome{"echo": lost, "log": "ok"}, outcome{"echo": "ok", "log": "ok"}, "LOST: echo", 1},
		{"worse everywhere", used, outcome{"echo": "ok", "log": "ok"}, outcome{"echo": lost, "log": lost}, outcome{"echo": lost, "log": "ok"}, "LOST: echo, log", 3},
		{"promised and kept", restarted, outcome{"restarted": lost}, outcome{"restarted": "ok"}, outcome{"restarted": "ok"}, "kept", 0},
		{"promised and lost", restarted, outcome{"restarted": lost}, outcome{"restarted": "ok"}, outcome{"restarted": lost}, "LOST: restarted", 1},
		{"not done", restarted, outcome{}, outcome{}, outcome{}, "-", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			participants := []*participant{{way: 0, outcome: tc.direct}, {way: 1, outcome: tc.one}, {way: 2, outcome: tc.federation}}
			got, reasons, lost := tc.stage.compare(participants, false)
			if got != tc.want || lost != tc.lost || len(reasons) != tc.lost {
				t.Errorf("%s, %d lost, want %s, %d: %q", got, lost, tc.want, tc.lost, reasons)
			}
		})
	}
}

// Only a call that was under way while the server was away may be lost, and only
// with a reason.
func TestOnlyOutagesExplainLostCalls(t *testing.T) {
	const ms = time.Millisecond
	s := &restarts{outages: []span{{100 * ms, 200 * ms}, {300 * ms, 300*ms + 2*checks*checksFail}}}
	long := s.outages[1].till
	reason, none := errors.New("the connection to the server was lost"), errors.New("internal error")
	for _, tc := range []struct {
		name      string
		from      time.Duration
		what      string
		err       error
		federated bool
		want      bool
	}{
		{"in flight", 95 * ms, "tools/call", reason, false, true},
		{"begun in the outage", 150 * ms, "tools/call", reason, false, true},
		{"without a reason", 95 * ms, "tools/call", none, false, false},
		{"before", 50 * ms, "tools/call", reason, false, false},
		{"after", 210 * ms, "tools/call", reason, false, false},
		{"what is left of a federation", 150 * ms, "tools/list", errors.New(listed + "[]"), true, true},
		{"an empty list", 150 * ms, "tools/list", errors.New(listed + "[]"), false, false},
		{"an empty federation after the outage", 210 * ms, "tools/list", errors.New(listed + "[]"), true, false},
		{"after one that health checks have found", long + time.Second, "tools/call", reason, false, true},
		{"long after it", long + healing + ms, "tools/call", reason, false, false},
	} {
		if got := s.explains(attempt{span: span{tc.from, tc.from + 10*ms}, what: tc.what, err: tc.err}, tc.federated); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

// docs/CONFORMANCE.md names what the lock files hold.
func TestThePageNamesTheVersionsOfTheZoo(t *testing.T) {
	read := func(path ...string) string {
		b, err := os.ReadFile(filepath.Join(path...))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	// version finds the major and minor version that follows a name in a file.
	version := func(name, file string) string {
		m := regexp.MustCompile(`(?m)` + name + `(\d+\.\d+)\.\d`).FindStringSubmatch(read(file))
		if m == nil {
			t.Fatalf("%s names no version of %s", file, name)
		}
		return m[1]
	}
	python := func(name, environment string) string {
		return version("^"+name+"==", "zoo/python/requirements-"+environment+".txt")
	}
	locked := func(name string) string {
		return version(`"node_modules/`+name+`": \{\s+"version": "`, "package-lock.json")
	}
	page := read("..", "..", "docs", "CONFORMANCE.md")
	for _, want := range []string{
		fmt.Sprintf("Python SDK %s, %s, %s and %s,", python("mcp", "mcp-1.9"), python("mcp", "mcp-1.25"), python("mcp", "mcp-1"), python("mcp", "mcp-2")),
		fmt.Sprintf("FastMCP %s and %s,", python("fastmcp", "fastmcp-2"), python("fastmcp", "fastmcp-4")),
		fmt.Sprintf("TypeScript SDK %s and %s,", locked("@modelcontextprotocol/sdk"), locked("@modelcontextprotocol/server")),
		fmt.Sprintf("Go SDK %s,", version(`modelcontextprotocol/go-sdk v`, "../../go.mod")),
		fmt.Sprintf("mcp-go %s and,", version(`mark3labs/mcp-go v`, "zoo/mcp-go/go.mod")),
		fmt.Sprintf("rmcp %s.", version(`name = "rmcp"\nversion = "`, "zoo/rmcp/Cargo.lock")),
	} {
		if !strings.Contains(page, want) {
			t.Errorf("CONFORMANCE.md does not say %q", want)
		}
	}
}
