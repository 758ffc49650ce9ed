package mcp_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
)

// listing is a server that answers tools/list, by cursor, with what a test
// writes.
func listing(page func(cursor string) string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		var m struct {
			ID     json.RawMessage
			Method string
			Params struct{ Cursor string }
		}
		if json.NewDecoder(r.Body).Decode(&m) != nil || m.ID == nil {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		result := "{}"
		switch m.Method {
		case "initialize":
			result = `{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"listing","version":"1"}}`
		case "tools/list":
			result = page(m.Params.Cursor)
		}
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, m.ID, result)
	})
}

func TestAMalformedToolIsLeftOutAndTold(t *testing.T) {
	t.Parallel()
	w := harness.NewWorld(t)
	w.One = w.Serve(t, listing(func(string) string {
		return `{"tools":[{"name":"good","inputSchema":{"type":"object"}},{"name":"typeless","inputSchema":{}},` +
			`{"name":"listless","inputSchema":{"type":"object","required":null}}]}`
	}))
	const list = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
	hc := harness.Client(t, w.CA.PEM(), "http/1.1")
	for members, names := range map[string][]string{"one": {`"good"`}, "one, two": {`"one__good"`, `"two__echo"`}} {
		w.Members = members
		w.MustApply(w.YAML())
		_, body := w.PostMCP(t, hc, list)
		for _, name := range names {
			if !strings.Contains(body, name) {
				t.Errorf("%s: %s is missing in %s", members, name, body)
			}
		}
		if strings.Contains(body, "typeless") || strings.Contains(body, "listless") {
			t.Errorf("%s: %s", members, body)
		}
	}
	left := w.Status().Clusters[0].LeftOut
	if len(left) != 2 || left[0].Kind != "tool" || left[0].Name != "listless" || !strings.Contains(left[1].Reason, "inputSchema.type is missing") {
		t.Errorf("the status tells %+v", left)
	}
	out, err := harness.Command(t, "", "status", "--admin", "unix:"+w.Gateway.Dir+"/a.sock").CombinedOutput()
	if err != nil || !strings.Contains(string(out), `"typeless"`) {
		t.Errorf("%v: %s", err, out)
	}
	metrics, err := w.Metrics()
	if err != nil || !strings.Contains(metrics, `mcpgateway_mcp_definitions_left_out{cluster="one",kind="tool"} 2`) {
		t.Errorf("%v, the metrics do not tell it", err)
	}
	w.Eventually("a line of the log", func() error {
		for _, line := range w.Gateway.LogLines() {
			if line["tool"] == "typeless" && line["cluster"] == "one" && strings.Contains(fmt.Sprint(line["message"]), "left out: inputSchema.type is missing") {
				return nil
			}
		}
		return fmt.Errorf("there is none")
	})
}

func TestAListOfOneClusterBeginsWithWhatIsShownAndEnds(t *testing.T) {
	t.Parallel()
	w := harness.NewWorld(t)
	tool := func(name string) string { return `{"name":"` + name + `","inputSchema":{"type":"object"}}` }
	w.One = w.Serve(t, listing(func(cursor string) string {
		switch cursor {
		case "":
			return `{"tools":[` + tool("admin_a") + `],"nextCursor":"b"}`
		case "b":
			return `{"tools":[],"nextCursor":"c"}`
		case "c":
			return `{"tools":[` + tool("admin_b") + `,` + tool("read") + `],"nextCursor":"d"}`
		}
		return `{"tools":[` + tool("write") + `],"nextCursor":"c"}` // it has no end
	}))
	w.Members = `{name: one, tools: {deny: ["admin_*"]}}`
	w.MustApply(w.YAML())
	hc := harness.Client(t, w.CA.PEM(), "http/1.1")
	var got []string
	for cursor, pages := `""`, 0; cursor != ""; pages++ {
		if pages == 10 {
			t.Fatal("the list has no end")
		}
		_, body := w.PostMCP(t, hc, `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":`+cursor+`}}`)
		var page struct {
			Result struct {
				Tools      []struct{ Name string }
				NextCursor json.RawMessage
			}
		}
		if err := json.Unmarshal([]byte(body), &page); err != nil || len(page.Result.Tools) == 0 {
			t.Fatalf("page %d is empty: %s", pages, body)
		}
		for _, tool := range page.Result.Tools {
			got = append(got, tool.Name)
		}
		cursor = string(page.Result.NextCursor)
	}
	if strings.Join(got, " ") != "read write" {
		t.Errorf("%v", got)
	}
}
