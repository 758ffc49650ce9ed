package examples

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestEveryConfigurationValidates(t *testing.T) {
	paths, err := filepath.Glob("*/config.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no example found (%v)", err)
	}
	dir := certificates(t)
	for _, path := range paths {
		t.Run(filepath.Dir(path), func(t *testing.T) {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			validates(t, dir, content)
		})
	}
}

func TestEveryExampleHasAREADME(t *testing.T) {
	paths, err := filepath.Glob("*/config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	top, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		dir := filepath.Dir(path)
		if _, err := os.Stat(filepath.Join(dir, "README.md")); err != nil {
			t.Error(err)
		}
		if !strings.Contains(string(top), "examples/"+dir) {
			t.Errorf("the project's README does not mention examples/%s", dir)
		}
	}
}

// validates runs `mcpgateway validate` on content, as a file in dir.
func validates(t *testing.T, dir string, content []byte) {
	t.Helper()
	path := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "mcpgateway"), "validate", "-c", path)
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(bin, "examples")+":"+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
