package house_test

import (
	"errors"
	"go/ast"
	gotoken "go/token"
	"go/types"
	"path/filepath"
	"strings"
	"testing"
)

// changing are package-level variables that change, and why they may.
var changing = map[string]string{}

// A variable of a package is a constant that Go cannot write as one: a state there
// belongs to no generation, and two gateways in one process would share it.
func TestNoPackageLevelVariableChanges(t *testing.T) {
	set, packages := gotoken.NewFileSet(), map[string][]*ast.File{}
	goFiles(t, func(dir, path string, _ *ast.File) {
		if !strings.HasSuffix(path, "_test.go") && !strings.HasPrefix(dir, "bench") && !strings.HasPrefix(dir, "examples") {
			packages[dir] = append(packages[dir], parse(t, set, path))
		}
	})
	seen := 0
	for dir, files := range packages {
		// What is imported is not known, and need not be: only names of the package's
		// own scope are asked for.
		info := &types.Info{Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}}
		config := types.Config{Error: func(error) {}, Importer: nothing{}}
		pkg, _ := config.Check(module+"/"+dir, set, files, info)
		report := func(at ast.Expr, does string) {
			id := root(at)
			if id == nil {
				return
			}
			v, ok := info.Uses[id].(*types.Var)
			if !ok || v.Parent() != pkg.Scope() {
				return
			}
			if changing[dir+"."+v.Name()] == "" {
				t.Errorf("%s: the package's variable %s is %s", filepath.ToSlash(set.Position(at.Pos()).String()), v.Name(), does)
			}
		}
		for _, name := range pkg.Scope().Names() {
			v, ok := pkg.Scope().Lookup(name).(*types.Var)
			if !ok {
				continue
			}
			seen++
			if changing[dir+"."+name] == "" && stateful(files, name) {
				t.Errorf("%s.%s is of a type that is there to change", dir, v.Name())
			}
		}
		for _, f := range files {
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.AssignStmt:
					for _, to := range n.Lhs {
						report(to, "assigned")
					}
				case *ast.IncDecStmt:
					report(n.X, "assigned")
				case *ast.UnaryExpr:
					if n.Op == gotoken.AND {
						report(n.X, "lent out by its address")
					}
				case *ast.CallExpr:
					if id, ok := n.Fun.(*ast.Ident); ok && (id.Name == "delete" || id.Name == "clear") {
						report(n.Args[0], "emptied")
					}
				}
				return true
			})
		}
	}
	if seen < 50 {
		t.Errorf("only %d variables were found", seen)
	}
}

// root is the variable that an expression is a part of.
func root(e ast.Expr) *ast.Ident {
	switch e := e.(type) {
	case *ast.Ident:
		return e
	case *ast.IndexExpr:
		return root(e.X)
	case *ast.SelectorExpr:
		return root(e.X)
	case *ast.ParenExpr:
		return root(e.X)
	case *ast.StarExpr:
		return root(e.X)
	}
	return nil
}

// stateful reports whether a variable is declared with a type of sync or atomic.
func stateful(files []*ast.File, name string) bool {
	found := false
	for _, f := range files {
		for _, d := range f.Decls {
			group, ok := d.(*ast.GenDecl)
			if !ok || group.Tok != gotoken.VAR {
				continue
			}
			for _, s := range group.Specs {
				v := s.(*ast.ValueSpec)
				named := false
				for _, id := range v.Names {
					named = named || id.Name == name
				}
				if !named {
					continue
				}
				ast.Inspect(v, func(n ast.Node) bool {
					if s, ok := n.(*ast.SelectorExpr); ok {
						if x, ok := s.X.(*ast.Ident); ok && (x.Name == "sync" || x.Name == "atomic") && !strings.HasPrefix(s.Sel.Name, "Once") {
							found = true
						}
					}
					return true
				})
			}
		}
	}
	return found
}

// nothing imports no package.
type nothing struct{}

func (nothing) Import(string) (*types.Package, error) { return nil, errors.New("not loaded") }
