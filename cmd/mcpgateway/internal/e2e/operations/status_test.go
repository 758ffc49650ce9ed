package operations_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/proxy/admin"
)

// The reason for a revision may be long, and holds words of the server.
func TestTheStatusShowsTheRevisionInAColumnAndItsReasonBelow(t *testing.T) {
	t.Parallel()
	reason := "2025-06-18 by initialize, since server/discover: \x1b[2J" + strings.Repeat("it says no, ", 20) + "\nand\tmore"
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(admin.Status{Clusters: []admin.Cluster{
			{Name: "old", Endpoints: []admin.Endpoint{{URL: "http://old.test/", Health: "unhealthy", Protocol: reason, Error: "broken\nin two"}}},
			{Name: "new", Endpoints: []admin.Endpoint{{URL: "http://new.test/", Health: "healthy", Protocol: "2026-07-28, which server/discover lists"}}},
			{Name: "plain", Endpoints: []admin.Endpoint{{URL: "http://plain.test/", Health: "unchecked"}}},
		}})
	}))
	defer api.Close()
	out, err := harness.Command(t, "", "status", "--admin", strings.TrimPrefix(api.URL, "http://")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var rows [][]string
	for line := range strings.Lines(string(out)) {
		rows = append(rows, strings.Fields(line))
	}
	for _, want := range []string{
		"CLUSTER ENDPOINT ADDRESS HEALTH ACTIVE PROTOCOL ERROR",
		"old http://old.test/ - unhealthy 0 2025-06-18 broken in two",
		"new http://new.test/ - healthy 0 2026-07-28",
		"plain http://plain.test/ - unchecked 0 -",
		"new http://new.test/ 2026-07-28, which server/discover lists",
		"old http://old.test/ 2025-06-18 by initialize, since server/discover: [2J" + strings.Repeat("it says no, ", 20) + "and more",
	} {
		if !slices.ContainsFunc(rows, func(row []string) bool { return slices.Equal(row, strings.Fields(want)) }) {
			t.Errorf("no line %q in\n%s", want, out)
		}
	}
	if strings.Contains(string(out), "\x1b") {
		t.Error("what the server says reaches the terminal as it is")
	}
}
