package house_test

import (
	"go/ast"
	"os"
	"strings"
	"testing"
)

// mostMethods is how many methods a type has at most. One with more does several
// things, and its fields belong to some of them only.
const mostMethods = 20

// large are the types with more, why, and how many at most. An entry goes when its
// type has been taken apart: the test says so in its log.
var large = map[string]struct {
	most   int
	reason string
}{
	"internal/memory.Budget":       {21, "one counter for all that peers make the process keep, with a short method each"},
	"proxy/mcp/eventstream.Stream": {21, "what is written, kept, sent and sent again, under one lock"},
}

func TestNoTypeHasMoreThanTwentyMethods(t *testing.T) {
	methods := map[string]int{}
	goFiles(t, func(dir, path string, f *ast.File) {
		if strings.HasSuffix(path, "_test.go") || strings.HasPrefix(dir, "bench") || strings.HasPrefix(dir, "examples") {
			return
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv != nil {
				methods[dir+"."+receiver(fn.Recv.List[0].Type)]++
			}
		}
	})
	if len(methods) < 200 {
		t.Fatalf("only %d types with methods were found", len(methods))
	}
	for name, n := range methods {
		switch exception, ok := large[name]; {
		case ok && n > exception.most:
			t.Errorf("%s has %d methods, and had %d; which of its responsibilities should move out?", name, n, exception.most)
		case ok && n <= mostMethods:
			t.Logf("%s has %d methods: take it out of the list of exceptions", name, n)
		case !ok && n > mostMethods:
			t.Errorf("%s has %d methods; which of its responsibilities should move out?", name, n)
		}
	}
	for name := range large {
		if methods[name] == 0 {
			t.Logf("%s is no more: take it out of the list of exceptions", name)
		}
	}
}

func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

func TestMostFilesHaveUnder300Lines(t *testing.T) {
	files, long := 0, []string{}
	goFiles(t, func(_, path string, _ *ast.File) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files++
		if strings.Count(string(data), "\n") > 300 {
			long = append(long, path)
		}
	})
	if len(long)*20 > files {
		t.Errorf("%d of %d files have more than 300 lines, which one in twenty may: %q", len(long), files, long)
	}
}
