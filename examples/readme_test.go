package examples

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// block is a block of code in the README's section about a first gateway.
var block = regexp.MustCompile("(?s)```(yaml|sh)\n(.*?)```")

// The first gateway of the README, by the commands that stand there; only the
// ports are others.
func TestTheFirstGatewayOfTheREADMEAnswers(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## A first gateway\n")
	section, _, _ = strings.Cut(section, "\n## ")
	section = strings.NewReplacer("localhost:8443", "localhost:"+freePort(t), "localhost:9000", "localhost:"+freePort(t), "127.0.0.1:9901", "127.0.0.1:"+freePort(t)).Replace(section)
	_, port, _ := strings.Cut(section, "https://localhost:")
	section = strings.ReplaceAll(section, "127.0.0.1:8443", "127.0.0.1:"+port[:strings.IndexByte(port, '/')])
	blocks := block.FindAllStringSubmatch(section, -1)
	if len(blocks) != 3 || blocks[0][1] != "yaml" || blocks[1][1] != "sh" || blocks[2][1] != "sh" {
		t.Fatalf("the section has the blocks %q", blocks)
	}

	// A project in which everything is built already, with the certificates that
	// certs.sh has made for all tests, which it finds good.
	project := t.TempDir()
	examples, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"bin": bin, "examples": examples} {
		if err := os.Symlink(target, filepath.Join(project, name)); err != nil {
			t.Fatal(err)
		}
	}
	try := filepath.Join(project, ".run", "try")
	if err := os.CopyFS(try, os.DirFS(certs)); err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string]string{
		filepath.Join(try, "config.yaml"):  blocks[0][2],
		filepath.Join(project, "Makefile"): "build examples:\n",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	script := run(t, nil, "bash", "-c", "set -euo pipefail\ncd "+project+"\n"+
		blocks[1][2]+blocks[2][2]+"\nkill $(jobs -p)\nwait")
	if code := script.wait(); code != 0 {
		t.Errorf("exit %d", code)
	}
	if said := script.out.String(); !strings.Contains(said, `"name":"whoami"`) {
		t.Errorf("no tool is listed:\n%s", said)
	}
}
