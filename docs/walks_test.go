package docs_test

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	goFile = regexp.MustCompile(`^[a-z0-9_/]+\.go$`)
	symbol = regexp.MustCompile(`^[A-Za-z]\w*(\.[A-Za-z]\w*)?$`)
	step   = regexp.MustCompile(`^(\d+\.|-) `)
)

// Each step of a walk names its files. They are there, and the walk of a tools/call
// goes down through each once.
func TestTheWalksOfTheArchitectureNameFilesThatAreThere(t *testing.T) {
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, walk := range []string{"A request", "A tools/call", "A reload", "A certificate by ACME"} {
		_, section, ok := strings.Cut(string(text), "\n## "+walk+"\n")
		if !ok {
			t.Errorf("there is no walk %q", walk)
			continue
		}
		section, _, _ = strings.Cut(section, "\n## ")
		var files []string
		for line := range strings.Lines(section) {
			if !step.MatchString(line) {
				continue
			}
			named := 0
			for _, m := range code.FindAllStringSubmatch(line, -1) {
				if goFile.MatchString(m[1]) {
					named++
					files = append(files, m[1])
				}
			}
			if named == 0 {
				t.Errorf("%s: a step names no file: %s", walk, line)
			}
		}
		if len(files) < 8 {
			t.Errorf("%s: only %d files are named", walk, len(files))
		}
		for i, file := range files {
			if _, err := os.Stat(filepath.Join(root, file)); err != nil {
				t.Errorf("%s: %v", walk, err)
			}
			if walk == "A tools/call" && slices.Contains(files[:i], file) {
				t.Errorf("%s goes through %s twice", walk, file)
			}
		}
	}
}

// Each package has its line in the layout, and each line its package.
func TestTheLayoutHasEveryPackage(t *testing.T) {
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, layout, _ := strings.Cut(string(text), "```\n")
	layout, _, _ = strings.Cut(layout, "```")
	told := map[string]bool{}
	for line := range strings.Lines(layout) {
		if fields := strings.Fields(line); len(fields) > 1 && !strings.HasPrefix(line, " ") {
			told[fields[0]] = true
		}
	}
	all := packages(t)
	for dir := range all {
		if !strings.HasPrefix(dir, "bench") && !strings.HasPrefix(dir, "examples") && !strings.HasSuffix(dir, "test") && !strings.Contains(dir, "/internal/") && dir != "internal/testkit" && !told[dir] {
			t.Errorf("the layout lacks %s", dir)
		}
	}
	for dir := range told {
		if all[dir] == nil {
			t.Errorf("the layout has %s, which is no package", dir)
		}
	}
}

// Each step of EXTENDING.md begins with the file that is to be changed. The file is
// there, and declares what the step names.
func TestTheStepsOfExtendingNameWhatIsThere(t *testing.T) {
	text, err := os.ReadFile("EXTENDING.md")
	if err != nil {
		t.Fatal(err)
	}
	all, steps := packages(t), 0
	for line := range strings.Lines(string(text)) {
		if !step.MatchString(line) {
			continue
		}
		steps++
		var declared map[string]bool
		for _, m := range code.FindAllStringSubmatch(line, -1) {
			switch name := m[1]; {
			case strings.HasSuffix(name, "_test.go"):
				f, err := parser.ParseFile(gotoken.NewFileSet(), filepath.Join(root, name), nil, parser.SkipObjectResolution)
				if err != nil {
					t.Error(err)
					declared = nil
					break
				}
				declared = declarations(f)
			case strings.HasSuffix(name, ".md"), strings.HasSuffix(name, ".yaml"):
				if _, err := os.Stat(filepath.Join(root, name)); err != nil {
					t.Error(err)
				}
				declared = map[string]bool{}
			case goFile.MatchString(name):
				f := all[filepath.ToSlash(filepath.Dir(name))][name]
				if f == nil {
					t.Errorf("there is no %s", name)
					declared = nil
					break
				}
				declared = declarations(f)
			case declared == nil:
				t.Errorf("no file stands before %s: %s", name, line)
			case symbol.MatchString(name) && !declared[name]:
				t.Errorf("%s is not declared in the file before it: %s", name, line)
			}
		}
	}
	if steps < 20 {
		t.Errorf("only %d steps were found", steps)
	}
}

// declarations are the names that a file declares: Name, or Type.Name for methods,
// and for the fields and methods of structs and interfaces.
func declarations(f *ast.File) map[string]bool {
	names := map[string]bool{}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			name := d.Name.Name
			if d.Recv != nil {
				on := d.Recv.List[0].Type
				if star, ok := on.(*ast.StarExpr); ok {
					on = star.X
				}
				if id, ok := on.(*ast.Ident); ok {
					name = id.Name + "." + name
				}
			}
			names[name] = true
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.ValueSpec:
					for _, id := range s.Names {
						names[id.Name] = true
					}
				case *ast.TypeSpec:
					names[s.Name.Name] = true
					var members *ast.FieldList
					switch typ := s.Type.(type) {
					case *ast.StructType:
						members = typ.Fields
					case *ast.InterfaceType:
						members = typ.Methods
					default:
						continue
					}
					for _, m := range members.List {
						for _, id := range m.Names {
							names[s.Name.Name+"."+id.Name] = true
						}
					}
				}
			}
		}
	}
	return names
}
