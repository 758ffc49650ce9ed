package house_test

import (
	"go/ast"
	"strings"
	"testing"
)

// ofTheStandard are methods whose meaning the standard library gives.
var ofTheStandard = map[string]bool{"Error": true, "Unwrap": true, "String": true}

// Every exported name says what it is: on itself, beside it, or for its group.
func TestEveryExportedNameIsDocumented(t *testing.T) {
	goFiles(t, func(dir, path string, f *ast.File) {
		if f.Name.Name == "main" || strings.HasSuffix(path, "_test.go") {
			return
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && d.Doc == nil && !ofTheStandard[d.Name.Name] && (d.Recv == nil || ast.IsExported(receiver(d.Recv.List[0].Type))) {
					t.Errorf("%s: %s has no comment", path, d.Name.Name)
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					switch s := s.(type) {
					case *ast.TypeSpec:
						if s.Name.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
							t.Errorf("%s: %s has no comment", path, s.Name.Name)
						}
					case *ast.ValueSpec:
						for _, id := range s.Names {
							if id.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
								t.Errorf("%s: %s has no comment", path, id.Name)
							}
						}
					}
				}
			}
		}
	})
}
