package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var fence = regexp.MustCompile("(?s)```yaml\n(# config\\.yaml\n.*?)```")

// Every block of the documentation that calls itself config.yaml loads, with
// the users' own certificates beside it.
func TestEveryConfigurationInTheDocumentationLoads(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	certificates(t, dir)
	writeFile(t, dir, "jwt.key", []byte(secret))
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bin", "stdio-server"), []byte("#!/bin/sh\nexec cat\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../../examples/*/README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := 0
	for _, file := range append(files, "../../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range fence.FindAllSubmatch(text, -1) {
			blocks++
			name := fmt.Sprintf("%d.yaml", blocks)
			writeFile(t, dir, name, m[1])
			cmd := exec.Command(binary, "validate", "-c", name)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s, block %d: %v\n%s", file, i+1, err, out)
			}
		}
	}
	if blocks < 4 {
		t.Errorf("only %d blocks were found", blocks)
	}
}

// Every sub-command that the README's table names is there, and no other.
func TestTheReadmeNamesEverySubCommand(t *testing.T) {
	t.Parallel()
	help, err := exec.Command(binary, "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(help), "Available Commands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	for line := range strings.Lines(list) {
		name := strings.Fields(line)[0]
		if name == "help" || name == "completion" {
			continue
		}
		if !strings.Contains(string(text), "| `mcpgateway "+name) {
			t.Errorf("the README does not describe `mcpgateway %s`", name)
		}
	}
}
