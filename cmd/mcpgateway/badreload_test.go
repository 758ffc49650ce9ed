package main_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/proxy/admin"
)

// A reload that fails changes nothing, and says why; a later good one applies.
func TestABadReloadOfEachKindLeavesTheRunningGenerationAnswering(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	c := client(t, e.ca.PEM(), "http/1.1")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	good := e.yaml()
	goodCert := read(t, e.dir, "server.crt")
	for _, bad := range []struct {
		kind, want string
		spoil      func()
	}{
		{"syntax", "config.yaml:", func() { e.configure(good + "\nroutes: [}") }},
		{"unknown key", `did you mean "listeners"?`, func() { e.configure(good + "\nlisteners_: []") }},
		{"missing file", "absent.crt", func() { e.configure(strings.Replace(good, "server.crt", "absent.crt", 1)) }},
		{"torn pair that stays torn", "the key does not belong to the certificate", func() { e.issue("other", "localhost"); writeFile(t, e.dir, "server.crt", read(t, e.dir, "other.crt")) }},
		{"port in use", taken.Addr().String(), func() {
			e.configure(strings.Replace(good, "routes:", "  - {name: second, address: \""+taken.Addr().String()+"\"}\nroutes:", 1))
		}},
		{"dangling reference", "cluster", func() { e.configure(strings.Replace(good, "cluster: api", "cluster: apt", 1)) }},
	} {
		before := e.status().Generation.Number
		bad.spoil()
		o := e.reload()
		if o.Result != admin.Rejected || !strings.Contains(strings.Join(o.Errors, "\n"), bad.want) {
			t.Errorf("%s: %s, with the errors %q; want one that says %q", bad.kind, o.Result, o.Errors, bad.want)
		}
		if code, _, _ := get(t, c, e.base()); code != 200 {
			t.Errorf("%s: the running generation answers %d", bad.kind, code)
		}
		if after := e.status().Generation.Number; after != before {
			t.Errorf("%s: generation %d, it was %d", bad.kind, after, before)
		}
		writeFile(t, e.dir, "server.crt", goodCert)
		e.routes = "  - match: {path: /api/" + strings.ReplaceAll(bad.kind, " ", "-") + "}\n    listeners: [all]\n    respond: {status: 204}"
		if o := e.apply(e.yaml()); o.Result != admin.Applied {
			t.Errorf("after %s a good file was %s: %v", bad.kind, o.Result, o.Errors)
		}
		good = e.yaml()
		if code, _, _ := get(t, c, e.base()+"/"+strings.ReplaceAll(bad.kind, " ", "-")); code != 204 {
			t.Errorf("after %s the new route answers %d", bad.kind, code)
		}
	}
}

func TestTheReloadCommandPrintsThePlanOrTheErrors(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	run := func(args ...string) (string, error) {
		cmd := exec.Command(binary, args...)
		cmd.Dir = e.dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	e.routes = "  - match: {path: /api/x}\n    respond: {status: 204}"
	e.configure(e.yaml())
	if out, err := run("reload", "-c", "config.yaml"); err != nil || !strings.Contains(out, "generation 2: applied") || !strings.Contains(out, "1 route") {
		t.Errorf("reload: %v\n%s", err, out)
	}
	if out, err := run("reload", "-c", "config.yaml"); err != nil || !strings.Contains(out, "unchanged") {
		t.Errorf("reload of the same file: %v\n%s", err, out)
	}
	if out, err := run("status", "-c", "config.yaml"); err != nil || !strings.Contains(out, "generation 2") || !strings.Contains(out, "public") {
		t.Errorf("status: %v\n%s", err, out)
	}
	// The broken file is the one that names the admin address.
	e.configure(e.yaml() + "\nbogus: 1")
	out, err := run("reload", "-c", "config.yaml")
	if code := exitCode(err); code != 1 || !strings.Contains(out, "bogus: unknown key") {
		t.Errorf("reload of a broken file: exit %d\n%s", code, out)
	}
}

// A service manager, or a script, tells by the exit code whether the file is to be
// mended.
func TestTheExitCodeTellsAWrongFileFromAnotherFailure(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	writeFile(t, dir, "unknown.yaml", []byte("listeners: [{name: public, address: \"127.0.0.1:0\", bogus: 1}]"))
	writeFile(t, dir, "broken.yaml", []byte("listeners: }"))
	writeFile(t, dir, "key.yaml", []byte("listeners: [{name: public, address: \"127.0.0.1:0\"}]\nstate_key_files: [absent.key]"))
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	writeFile(t, dir, "taken.yaml", fmt.Appendf(nil, "listeners: [{name: public, address: %q}]", taken.Addr()))
	writeFile(t, dir, "admin.yaml", fmt.Appendf(nil, "admin: {address: \"unix:%s/absent.sock\"}\nlisteners: [{name: public, address: \"127.0.0.1:0\"}]", dir))
	for _, c := range []struct {
		args string
		want int
		says string
	}{
		{"run -c absent.yaml", 2, "absent.yaml: cannot read it"},
		{"run -c unknown.yaml", 2, "bogus: unknown key"},
		{"run -c broken.yaml", 2, "not valid YAML"},
		{"run -c key.yaml", 2, "absent.key"},
		{"run -c taken.yaml", 1, "listener public"},
		{"reload -c absent.yaml", 2, "absent.yaml"},
		{"reload -c broken.yaml", 2, "broken.yaml"},
		{"reload -c unknown.yaml", 2, "no admin section"},
		{"reload -c admin.yaml", 1, "is it running"},
		{"status -c absent.yaml", 2, "absent.yaml"},
	} {
		cmd := exec.Command(binary, strings.Fields(c.args)...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if code := exitCode(err); code != c.want || !strings.Contains(string(out), c.says) {
			t.Errorf("%s: exit %d, want %d and %q\n%s", c.args, code, c.want, c.says, out)
		}
	}
}

func exitCode(err error) int {
	if e, ok := err.(*exec.ExitError); ok {
		return e.ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}

func TestValidatePrintsEveryMistakeWithItsPlace(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	data, err := os.ReadFile(filepath.Join("testdata", "ten.bad.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	yaml, want, _ := strings.Cut(string(data), "# want:\n")
	writeFile(t, dir, "config.yaml", []byte(yaml))
	cmd := exec.Command(binary, "validate", "-c", "config.yaml")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if exitCode(err) != 2 {
		t.Errorf("exit %d, want 2", exitCode(err))
	}
	got := strings.TrimSpace(string(out))
	want = strings.TrimSpace(strings.ReplaceAll(want, "# ", ""))
	if got != want {
		t.Errorf("got:\n%s\n\nwant:\n%s", got, want)
	}
	if n := len(strings.Split(got, "\n")); n != 10 {
		t.Errorf("%d errors, want 10", n)
	}
}
