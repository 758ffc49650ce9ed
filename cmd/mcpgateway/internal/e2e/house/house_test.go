// Package house_test checks rules that hold for the source of the whole module.
package house_test

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/mcpgateway/mcpgateway"

// floors are the packages from the top down: each imports only those below it.
var floors = []string{
	"cmd/mcpgateway",
	"proxy",
	"proxy/observe",
	"proxy/admin",
	"proxy/routes",
	"proxy/mcp",
	"proxy/mcp/downstream",
	"proxy/mcp/session",
	"proxy/mcp/slot",
	"proxy/mcp/federation",
	"proxy/mcp/relay",
	"proxy/mcp/upstream",
	"proxy/mcp/seal",
	"proxy/mcp/spec",
	"proxy/mcp/eventstream",
	"proxy/mcp/sse",
	"proxy/filter",
	"proxy/mcp/jsonrpc",
	"listeners",
	"listeners/http1head",
	"clusters",
	"clusters/transport",
	"clusters/process",
	"tls/acme",
	"tls/acme/acmetest",
	"tls/acme/lock",
	"tls",
	"tls/spiffe",
	"tls/spiffe/spiffetest",
	"proxy/logging",
	"proxy/filewatch",
	"proxy/config",
	"internal/hostname",
	"internal/memory",
	"internal/descriptors",
	"internal/disk",
	"internal/testkit",
}

// doors that stay shut although the floors would allow them.
var shut = map[string][]string{
	"listeners": {"clusters"},
}

// goFile is a Go file of the module. No test changes it.
type goFile struct {
	dir  string // from the module's folder, with slashes
	path string // from this folder
	tree *ast.File
}

// allGoFiles are all of the module, parsed by the first test that visits them.
var allGoFiles = sync.OnceValues(func() (files []goFile, err error) {
	const root = "../../../../.." // of the module; go test runs the tests in this package's folder
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin" || name == "node_modules") {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		f, err := parser.ParseFile(gotoken.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		files = append(files, goFile{filepath.ToSlash(dir), path, f})
		return nil
	})
	return files, err
})

// goFiles visits every Go file of the module.
func goFiles(t *testing.T, visit func(dir, path string, f *ast.File)) {
	t.Helper()
	files, err := allGoFiles()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		visit(f.dir, f.path, f.tree)
	}
}

func parse(t *testing.T, set *gotoken.FileSet, path string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(set, path, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestEachFloorImportsOnlyThoseBelow(t *testing.T) {
	goFiles(t, func(dir, path string, f *ast.File) {
		floor := slices.Index(floors, dir)
		if floor < 0 || strings.HasSuffix(path, "_test.go") {
			return
		}
		for _, i := range f.Imports {
			imported, ours := strings.CutPrefix(strings.Trim(i.Path.Value, `"`), module+"/")
			if !ours {
				continue
			}
			below := slices.Index(floors, imported)
			if below <= floor || slices.Contains(shut[dir], imported) {
				t.Errorf("%s imports %s, which is not below %s", path, imported, dir)
			}
		}
	})
}

// isKit reports whether a package is for tests, and no part of the gateway. Its
// name says so: tlstest makes what tests of tls need.
func isKit(dir string) bool {
	return strings.HasSuffix(dir, "test") || dir == "internal/testkit" || dir == "cmd/mcpgateway/internal/e2e/harness"
}

func TestOnlyTestsImportWhatIsForTests(t *testing.T) {
	goFiles(t, func(dir, path string, f *ast.File) {
		if isKit(dir) || strings.HasSuffix(path, "_test.go") {
			return
		}
		for _, i := range f.Imports {
			if imported := strings.Trim(i.Path.Value, `"`); imported == "testing" || isKit(strings.TrimPrefix(imported, module+"/")) && strings.HasPrefix(imported, module) {
				t.Errorf("%s imports %s, which is for tests", path, imported)
			}
		}
	})
}

func TestTheStandardTLSPackageIsImportedAsCryptotls(t *testing.T) {
	goFiles(t, func(_, path string, f *ast.File) {
		for _, i := range f.Imports {
			if i.Path.Value == `"crypto/tls"` && (i.Name == nil || i.Name.Name != "cryptotls") {
				t.Errorf("%s imports crypto/tls under another name than cryptotls", path)
			}
		}
	})
}

// The methods of MCP have their names in one package.
func TestMethodsOfMCPAreNamedInSpecOnly(t *testing.T) {
	literals := func(f *ast.File, visit func(text string)) {
		ast.Inspect(f, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == gotoken.STRING {
				if text, err := strconv.Unquote(lit.Value); err == nil {
					visit(text)
				}
			}
			return true
		})
	}
	named := map[string]bool{}
	goFiles(t, func(dir, path string, f *ast.File) {
		if dir == "proxy/mcp/spec" && filepath.Base(path) == "method.go" {
			literals(f, func(text string) { named[text] = true })
		}
	})
	if len(named) < 30 {
		t.Fatalf("spec names %d methods", len(named))
	}
	goFiles(t, func(dir, path string, f *ast.File) {
		if dir == "proxy/mcp/spec" || strings.HasPrefix(dir, "bench") || strings.HasSuffix(path, "_test.go") {
			return
		}
		literals(f, func(text string) {
			if named[text] {
				t.Errorf("%s has the literal %q, which has a name in proxy/mcp/spec", path, text)
			}
		})
	})
}

func TestEveryPackageIsDocumented(t *testing.T) {
	documented := map[string]bool{}
	goFiles(t, func(dir, path string, f *ast.File) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		documented[dir] = documented[dir] || f.Doc != nil
	})
	for dir, ok := range documented {
		if !ok {
			t.Errorf("package %s has no comment", dir)
		}
	}
}

// vague are words that leave open who acts: the client, the upstream, the kernel.
var vague = regexp.MustCompile(`\b([Nn]obody|[Ss]omebody|[Aa]nybody|[Ww]hoever)\b`)

func TestCommentsNameWhoActs(t *testing.T) {
	goFiles(t, func(_, path string, f *ast.File) {
		for _, group := range f.Comments {
			if word := vague.FindString(group.Text()); word != "" && !strings.HasSuffix(path, "house_test.go") {
				t.Errorf("%s: %q leaves open who acts: %.80q", path, word, group.Text())
			}
		}
	})
}

func TestNoFileIsOver500Lines(t *testing.T) {
	goFiles(t, func(_, path string, _ *ast.File) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(data), "\n"); n > 500 {
			t.Errorf("%s has %d lines; which noun should move out?", path, n)
		}
	})
}

func TestNoPackageHasAnInitFunction(t *testing.T) {
	goFiles(t, func(_, path string, f *ast.File) {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s declares init()", path)
			}
		}
	})
}
