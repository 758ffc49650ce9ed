package docs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each module that go.mod requires, and that is not only another module's, has its
// line; and each line has its module.
func TestThePageOfDependenciesHasEveryModule(t *testing.T) {
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("DEPENDENCIES.md")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(line, "|"); len(cells) == 4 && strings.Contains(cells[1], "/") {
			for name := range strings.SplitSeq(cells[1], ",") {
				told[strings.TrimSpace(name)] = true
			}
		}
	}
	required := map[string]bool{}
	for line := range strings.Lines(string(mod)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || !strings.HasPrefix(line, "\t") {
			continue
		}
		required[fields[0]] = true
		if len(fields) == 2 && !told[fields[0]] {
			t.Errorf("DEPENDENCIES.md does not say what %s is for", fields[0])
		}
	}
	for name := range told {
		if !required[name] {
			t.Errorf("DEPENDENCIES.md has %s, which go.mod does not require", name)
		}
	}
}
