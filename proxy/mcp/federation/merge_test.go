package federation

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/seal"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// tools is the listing of a member with so many tools.
func tools(t *testing.T, m Member, n int) Listing {
	t.Helper()
	l := Listing{Member: m, Hint: Freshest()}
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf(`{"name":"t%d"}`, i))
	}
	kind := *spec.Request(spec.ToolsList).List
	answer, err := jsonrpc.Parse([]byte(`{"jsonrpc":"2.0","id":1,"result":{"tools":[` + strings.Join(names, ",") + `]}}`))
	if err != nil {
		t.Fatal(err)
	}
	l.Add(kind, Page{At: seal.Position{Cluster: m.Name}, Items: Items(kind, answer)}, answer)
	return l
}

func TestAPageIsFullInTheMiddleOfAMember(t *testing.T) {
	kind := *spec.Request(spec.ToolsList).List
	members := []Member{{Name: "a"}, {Name: "b"}}
	var next *seal.Position
	merge := Merge{
		Kind:   kind,
		Naming: NewNaming("auto", members),
		Cursor: func(at seal.Position) string { next = &at; return "sealed" },
		Report: func(m Member, name, reason string) { t.Errorf("%s %s: %s", m.Name, name, reason) },
	}
	all := []Listing{tools(t, members[0], PageItems-1), tools(t, members[1], 3)}
	page := string(merge.Page(all, seal.Position{}))
	if !strings.Contains(page, `{"name":"b__t0"}],"nextCursor":"sealed"`) || strings.Contains(page, "b__t1") {
		t.Errorf("first page: …%s", page[len(page)-100:])
	}
	if next == nil || next.Cluster != "b" || next.Skip != 1 {
		t.Fatalf("the next page begins at %+v", next)
	}
	if page := string(merge.Page(all[1:], *next)); page != `{"tools":[{"name":"b__t1"},{"name":"b__t2"}]}` {
		t.Errorf("second page: %s", page)
	}
}

func TestWhoDoesNotAnswerIsNamed(t *testing.T) {
	kind := *spec.Request(spec.ToolsList).List
	members := []Member{{Name: "a"}, {Name: "b"}}
	merge := Merge{Kind: kind, Naming: NewNaming("auto", members), Modern: true}
	page := string(merge.Page([]Listing{tools(t, members[0], 1), {Member: members[1], Err: fmt.Errorf("down")}}, seal.Position{}))
	want := `{"tools":[{"name":"a__t0"}],"resultType":"complete","ttlMs":0,"cacheScope":"private","_meta":{"dev.mcpgateway/unavailable":["b"]}}`
	if page != want {
		t.Errorf("got  %s\nwant %s", page, want)
	}
}

func TestWithoutPrefixesTheFirstOwnerShowsAName(t *testing.T) {
	kind := *spec.Request(spec.ToolsList).List
	members := []Member{{Name: "a"}, {Name: "b"}}
	var reports []string
	merge := Merge{
		Kind:   kind,
		Naming: NewNaming("never", members),
		// a lists t1 too, but does not answer now.
		Owner:  func(own string) (Member, bool) { return members[0], own == "t1" },
		Report: func(m Member, name, reason string) { reports = append(reports, m.Name+" "+name+" "+reason) },
	}
	page := string(merge.Page([]Listing{{Member: members[0], Err: fmt.Errorf("down")}, tools(t, members[1], 3)}, seal.Position{}))
	if !strings.HasPrefix(page, `{"tools":[{"name":"t0"},{"name":"t2"}]`) {
		t.Error(page)
	}
	if len(reports) != 1 || reports[0] != "b t1 hidden: the name is taken by cluster a" {
		t.Errorf("%q", reports)
	}
}
