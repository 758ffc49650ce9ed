package mcp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
)

// bigList is a server of so many tools, in pages whose cursors are its own
// idea: the first page is named by none, the others by cursor. The last page
// names next, which may be a cursor that was there before.
func bigList(tools, page int, cursor func(page int) string, last string) http.Handler {
	pages := tools / page
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		var m struct {
			ID     json.RawMessage
			Method string
			Params struct{ Cursor *string }
		}
		if json.NewDecoder(r.Body).Decode(&m) != nil || m.ID == nil {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		var result string
		switch m.Method {
		case "initialize":
			result = `{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"big","version":"1"}}`
		case "tools/list":
			at := 0
			if m.Params.Cursor != nil {
				for at = 1; at < pages && cursor(at) != *m.Params.Cursor; at++ {
				}
			}
			var items []string
			for i := at * page; i < (at+1)*page; i++ {
				items = append(items, fmt.Sprintf(`{"name":"tool-%04d","description":%q,"inputSchema":{"type":"object"}}`, i, strings.Repeat("x", 200)))
			}
			next := last
			if at+1 < pages {
				next = strconv.Quote(cursor(at + 1))
			}
			result = `{"tools":[` + strings.Join(items, ",") + `]`
			if next != "" {
				result += `,"nextCursor":` + next
			}
			result += "}"
		default:
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"not here"}}`, m.ID)
			return
		}
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, m.ID, result)
	})
}

func TestThreeThousandToolsArriveCompleteAndInOrder(t *testing.T) {
	w := harness.NewWorld(t)
	w.Members = "plain, empty, circle"
	w.MCP = everyVersion
	number := func(page int) string { return fmt.Sprintf("page %d", page) }
	empty := func(page int) string {
		if page == 1 {
			return "" // a cursor like any other
		}
		return number(page)
	}
	for name, h := range map[string]http.Handler{
		"plain":  bigList(1000, 50, number, ""),
		"empty":  bigList(1000, 100, empty, ""),
		"circle": bigList(1000, 40, number, `"page 7"`), // it has no end
	} {
		s := w.Serve(t, h)
		w.IssueClient(t, name, "client "+name)
		w.More += w.Cluster(name, s, "")
	}
	w.MustApply(w.YAML())

	var want []string
	for _, cluster := range []string{"plain", "empty", "circle"} {
		for i := range 1000 {
			want = append(want, fmt.Sprintf("%s__tool-%04d", cluster, i))
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	hc := harness.Client(t, w.CA.PEM(), "http/1.1")
	walk := func(version string) {
		c := mcp.NewClient(&mcp.Implementation{Name: "walker", Version: "1"}, nil)
		session, err := c.Connect(ctx, &mcp.StreamableClientTransport{Endpoint: "https://" + w.Address("public") + "/mcp", HTTPClient: hc},
			&mcp.ClientSessionOptions{ProtocolVersion: version})
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		if got := session.InitializeResult().ProtocolVersion; got != version {
			t.Fatalf("the client speaks %s, not %s", got, version)
		}
		var got []string
		for tool, err := range session.Tools(ctx, nil) {
			if err != nil {
				t.Fatalf("%s: after %d tools: %v", version, len(got), err)
			}
			got = append(got, tool.Name)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%s: %d tools, or in another order; first %.200q", version, len(got), got)
		}
	}
	for range 3 {
		walk("2025-11-25")
		walk("2026-07-28")
	}
	hc.CloseIdleConnections()
	var before harness.Weight
	w.Eventually("the process to rest", func() (err error) { before, err = w.Weigh(); return err })
	for range 10 {
		walk("2025-11-25")
		walk("2026-07-28")
	}
	hc.CloseIdleConnections()
	t.Logf("before: %+v, after: %+v", before, w.SettlesAt(before))
}
