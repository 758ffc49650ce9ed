package spec

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

func TestTheTableIsConsistent(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range table {
		if seen[m.Name] {
			t.Errorf("%s stands there twice", m.Name)
		}
		seen[m.Name] = true
		if !m.Sessions && !m.Stateless {
			t.Errorf("no revision has %s", m.Name)
		}
		if m.NeedsSession && m.Stateless {
			t.Errorf("%s needs a session, and a revision without sessions has it", m.Name)
		}
		if m.NameRequired && m.Names == "" || m.MayRequireInput && m.Names == "" {
			t.Errorf("%s has no name", m.Name)
		}
		if of := Request(m.Of).List; m.Names != "" && (of == nil || of.Key != m.Names) || m.Of != "" && of == nil {
			t.Errorf("%s says with Names that its object has the %q, but not with Of which list has it: %q", m.Name, m.Names, m.Of)
		}
		if got := Request(m.Name); got.Name != m.Name || got.OnlyWithSession() == m.Stateless {
			t.Errorf("%s is found as %+v", m.Name, got)
		}
		if got := Request(m.Name).List; got != nil && got.Method != m.Name {
			t.Errorf("the list of %s says %s", m.Name, got.Method)
		}
	}
	for name, method := range requestsOfClients(t) {
		if !seen[method] {
			t.Errorf("%s (method.go) has no line in table (table.go)", name)
		}
	}
	if got := Request("vendor/thing"); got != (Method{}) {
		t.Errorf("an unknown request is %+v", got)
	}
}

// requestsOfClients are the constants of the first block of method.go, by name.
func requestsOfClients(t *testing.T) map[string]string {
	f, err := parser.ParseFile(token.NewFileSet(), "method.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	requests := map[string]string{}
	for _, s := range f.Decls[0].(*ast.GenDecl).Specs {
		c := s.(*ast.ValueSpec)
		method, err := strconv.Unquote(c.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		requests[c.Names[0].Name] = method
	}
	if requests["ToolsCall"] != ToolsCall {
		t.Fatalf("the first block of method.go has %v", requests)
	}
	return requests
}

func TestNameOfARequest(t *testing.T) {
	for body, want := range map[string]string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","uri":"b"}}`:         "a",
		`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"name":"a","uri":"b"}}`:     "b",
		`{"jsonrpc":"2.0","id":1,"method":"tasks/cancel","params":{"name":"a","taskId":"c"}}`:    "c",
		`{"jsonrpc":"2.0","id":1,"method":"tasks/result","params":{"name":"a","taskId":"c"}}`:    "",
		`{"jsonrpc":"2.0","id":1,"method":"vendor/thing","params":{"name":"a","":"of no name"}}`: "",
	} {
		m, err := jsonrpc.Parse([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if got := NameOf(m).String(); got != want {
			t.Errorf("%s: the name is %q, want %q", body, got, want)
		}
	}
}

func TestRevisionsAreOrdered(t *testing.T) {
	oldestFirst := Revisions()
	slices.Reverse(oldestFirst)
	if !slices.IsSorted(oldestFirst) || !slices.IsSorted(Initialized()) {
		t.Errorf("%v, %v", Revisions(), Initialized())
	}
	if IsLegacy(Modern) || IsLegacy(Oldest) || !IsLegacy(NewestLegacy) {
		t.Error("the revisions with sessions are wrong")
	}
}

func TestAChangeIsOfAList(t *testing.T) {
	for _, changed := range ListChanges() {
		if Request(ListOfChange(changed)).List == nil || !IsListChange(changed) {
			t.Errorf("%s is a change of %q", changed, ListOfChange(changed))
		}
	}
}
