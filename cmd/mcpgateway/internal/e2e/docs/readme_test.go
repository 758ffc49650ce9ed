package docs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
)

var fence = regexp.MustCompile("(?s)```yaml\n(# config\\.yaml\n.*?)```")

// Every block of the documentation that calls itself config.yaml loads, with
// the users' own certificates beside it.
func TestEveryConfigurationInTheDocumentationLoads(t *testing.T) {
	t.Parallel()
	dir := harness.ShortDir(t)
	harness.Certificates(t, dir)
	harness.WriteFile(t, dir, "jwt.key", []byte(harness.Secret))
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bin", "stdio-server"), []byte("#!/bin/sh\nexec cat\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	files := []string{harness.Root + "/README.md"}
	for _, pattern := range []string{harness.Root + "/docs/*.md", harness.Root + "/examples/*/README.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	blocks := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range fence.FindAllSubmatch(text, -1) {
			blocks++
			name := fmt.Sprintf("%d.yaml", blocks)
			harness.WriteFile(t, dir, name, m[1])
			cmd := harness.Command(t, dir, "validate", "-c", name)
			cmd.Env = append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s, block %d: %v\n%s(the files that a block names are written at the beginning of this test)", file, i+1, err, out)
			}
		}
	}
	if blocks < 6 {
		t.Errorf("only %d blocks were found", blocks)
	}
}

// Every sub-command stands in the table of the page about operations.
func TestThePageOfOperationsNamesEverySubCommand(t *testing.T) {
	t.Parallel()
	help, err := harness.Command(t, "", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(harness.Root + "/docs/OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(help), "Available Commands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	for line := range strings.Lines(list) {
		name := strings.Fields(line)[0]
		if name == "help" {
			continue
		}
		if !strings.Contains(string(text), "| `mcpgateway "+name) {
			t.Errorf("OPERATIONS.md does not describe `mcpgateway %s`", name)
		}
	}
}

// A command line that is wrong is told apart from a command that failed.
func TestAWrongCommandLineExitsWith2AndSaysWhereToRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ args, says, help string }{
		{"frob", `unknown command "frob"`, "mcpgateway --help"},
		{"rum", "Did you mean this?\n\trun", "mcpgateway --help"},
		{"relay", "\n\tstdio\n", "mcpgateway --help"},
		{"bridge", "\n\tstdio\n", "mcpgateway --help"},
		{"help frob", `unknown command "frob"`, "mcpgateway help --help"},
		{"run --frob", "unknown flag: --frob", "mcpgateway run --help"},
		{"validate -c", "flag needs an argument", "mcpgateway validate --help"},
		{"validate foo.yaml", "the file is named by -c", "mcpgateway validate --help"},
		{"version foo", "takes no argument", "mcpgateway version --help"},
	} {
		out, err := harness.Command(t, "", strings.Fields(c.args)...).CombinedOutput()
		if code := harness.ExitCode(err); code != 2 {
			t.Errorf("%s: exit %d, want 2", c.args, code)
		}
		if !strings.Contains(string(out), c.says) || !strings.Contains(string(out), c.help) {
			t.Errorf("%s: want %q and %q, got\n%s", c.args, c.says, c.help, out)
		}
	}
}

// A reader of the output that goes away, as head does, is no error to tell of.
func TestAReaderOfTheOutputThatGoesAwayIsNotToldOf(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	cmd := harness.Command(t, "", "schema")
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = w, &said
	if err := cmd.Run(); harness.ExitCode(err) != 1 || said.Len() > 0 {
		t.Errorf("%v: %s", err, &said)
	}
}

func TestTheFlagVersionPrintsTheVersion(t *testing.T) {
	t.Parallel()
	if out, err := harness.Command(t, "", "--version").CombinedOutput(); err != nil || !strings.HasPrefix(string(out), "mcpgateway version ") {
		t.Errorf("%v: %s", err, out)
	}
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// sections are the anchors of a page's headings.
func sections(t *testing.T, page string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
			title = strings.ToLower(strings.TrimSpace(title))
			all[strings.ReplaceAll(notInAnchors.ReplaceAllString(title, ""), " ", "-")] = true
		}
	}
	return all
}

// notInAnchors is what GitHub leaves out of the anchor of a heading.
var notInAnchors = regexp.MustCompile(`[^\p{L}\p{N} _-]`)

// Every link of a page to a file, or to a section of a page, leads somewhere.
func TestLinksOfThePagesLeadSomewhere(t *testing.T) {
	t.Parallel()
	var pages []string
	for _, pattern := range []string{harness.Root + "/*.md", harness.Root + "/docs/*.md", harness.Root + "/docs/*/*.md", harness.Root + "/examples/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	links := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			links++
			to, section, inside := strings.Cut(m[1], "#")
			if strings.Contains(to, "://") {
				continue
			}
			file := page
			if to != "" {
				file = filepath.Join(filepath.Dir(page), to)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s: %v", page, err)
			} else if inside && !sections(t, file)[section] {
				t.Errorf("%s: %s has no section %s", page, file, section)
			}
		}
	}
	if links < 40 {
		t.Errorf("only %d links were found", links)
	}
}
