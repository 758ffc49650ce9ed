package federation

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// A method that Mapper.Result does not know would show clients the names that its
// server gave, which no other request is understood with.
func TestTheResultOfEveryMethodIsMapped(t *testing.T) {
	named := []string{ // what results say of resources and tasks
		`"content":[{"type":"resource_link","uri":"x:y"}]`, `"messages":[{"content":{"type":"resource_link","uri":"x:y"}}]`,
		`"contents":[{"uri":"x:y"}]`, `"resultType":"task","taskId":"1"`,
	}
	none := []string{
		spec.Initialize, spec.Ping, spec.ServerDiscover, spec.ResourcesSubscribe, spec.ResourcesUnsubscribe,
		spec.CompletionComplete, spec.LoggingSetLevel, spec.SubscriptionsListen,
	}
	mapper := Mapper{cluster: "alpha", seal: func(string, string, string) string { return "sealed" }}
	f, err := parser.ParseFile(token.NewFileSet(), "../spec/method.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range f.Decls[0].(*ast.GenDecl).Specs { // the requests of clients
		method, err := strconv.Unquote(s.(*ast.ValueSpec).Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		mapped := slices.ContainsFunc(named, func(members string) bool {
			raw := `{"jsonrpc":"2.0","id":1,"result":{` + members + `}}`
			m, err := jsonrpc.Parse([]byte(raw))
			if err != nil {
				t.Fatal(err)
			}
			var e jsonrpc.Edits
			mapper.Result(&e, method, m.Result())
			return string(e.Apply(m)) != raw
		})
		if isList := spec.Request(method).List != nil; !isList && mapped == slices.Contains(none, method) {
			t.Errorf("has the result of %s names of its cluster? Then Mapper.Result (mapper.go) needs a case for it, else it is one of none (here)", method)
		}
	}
}
