package reload_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/proxy/admin"
)

// A reload that fails changes nothing, and says why; a later good one applies.
func TestABadReloadOfEachKindLeavesTheRunningGenerationAnswering(t *testing.T) {
	t.Parallel()
	e := harness.NewEdge(t)
	c := harness.Client(t, e.CA.PEM(), "http/1.1")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	good := e.YAML()
	goodCert := harness.Read(t, e.Dir, "server.crt")
	for _, bad := range []struct {
		kind, want string
		spoil      func()
	}{
		{"syntax", "config.yaml:", func() { e.Configure(good + "\nroutes: [}") }},
		{"unknown key", `did you mean "listeners"?`, func() { e.Configure(good + "\nlisteners_: []") }},
		{"missing file", "absent.crt", func() { e.Configure(strings.Replace(good, "server.crt", "absent.crt", 1)) }},
		{"torn pair that stays torn", "the key does not belong to the certificate", func() {
			e.Issue("other", "localhost")
			harness.WriteFile(t, e.Dir, "server.crt", harness.Read(t, e.Dir, "other.crt"))
		}},
		{"port in use", taken.Addr().String(), func() {
			e.Configure(strings.Replace(good, "routes:", "  - {name: second, address: \""+taken.Addr().String()+"\"}\nroutes:", 1))
		}},
		{"dangling reference", "cluster", func() { e.Configure(strings.Replace(good, "cluster: api", "cluster: apt", 1)) }},
	} {
		before := e.Status().Generation.Number
		bad.spoil()
		o := e.Reload()
		if o.Result != admin.Rejected || !strings.Contains(strings.Join(o.Errors, "\n"), bad.want) {
			t.Errorf("%s: %s, with the errors %q; want one that says %q", bad.kind, o.Result, o.Errors, bad.want)
		}
		if code, _, _ := harness.Get(t, c, e.Base()); code != 200 {
			t.Errorf("%s: the running generation answers %d", bad.kind, code)
		}
		if after := e.Status().Generation.Number; after != before {
			t.Errorf("%s: generation %d, it was %d", bad.kind, after, before)
		}
		harness.WriteFile(t, e.Dir, "server.crt", goodCert)
		e.Routes = "  - match: {path: /api/" + strings.ReplaceAll(bad.kind, " ", "-") + "}\n    listeners: [all]\n    respond: {status: 204}"
		if o := e.Apply(e.YAML()); o.Result != admin.Applied {
			t.Errorf("after %s a good file was %s: %v", bad.kind, o.Result, o.Errors)
		}
		good = e.YAML()
		if code, _, _ := harness.Get(t, c, e.Base()+"/"+strings.ReplaceAll(bad.kind, " ", "-")); code != 204 {
			t.Errorf("after %s the new route answers %d", bad.kind, code)
		}
	}
}

func TestTheReloadCommandPrintsThePlanOrTheErrors(t *testing.T) {
	t.Parallel()
	e := harness.NewEdge(t)
	run := func(args ...string) (string, error) {
		out, err := harness.Command(t, e.Dir, args...).CombinedOutput()
		return string(out), err
	}
	e.Routes = "  - match: {path: /api/x}\n    respond: {status: 204}"
	e.Configure(e.YAML())
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
	e.Configure(e.YAML() + "\nbogus: 1")
	out, err := run("reload", "-c", "config.yaml")
	if code := harness.ExitCode(err); code != 1 || !strings.Contains(out, "bogus: unknown key") {
		t.Errorf("reload of a broken file: exit %d\n%s", code, out)
	}
}

// A service manager, or a script, tells by the exit code whether the file is to be
// mended.
func TestTheExitCodeTellsAWrongFileFromAnotherFailure(t *testing.T) {
	t.Parallel()
	dir := harness.ShortDir(t)
	harness.WriteFile(t, dir, "unknown.yaml", []byte("listeners: [{name: public, address: \"127.0.0.1:0\", bogus: 1}]"))
	harness.WriteFile(t, dir, "broken.yaml", []byte("listeners: }"))
	harness.WriteFile(t, dir, "key.yaml", []byte("listeners: [{name: public, address: \"127.0.0.1:0\"}]\nstate_key_files: [absent.key]"))
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	harness.WriteFile(t, dir, "taken.yaml", fmt.Appendf(nil, "listeners: [{name: public, address: %q}]", taken.Addr()))
	harness.WriteFile(t, dir, "admin.yaml", fmt.Appendf(nil, "admin: {address: \"unix:%s/absent.sock\"}\nlisteners: [{name: public, address: \"127.0.0.1:0\"}]", dir))
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
		cmd := harness.Command(t, dir, strings.Fields(c.args)...)
		out, err := cmd.CombinedOutput()
		if code := harness.ExitCode(err); code != c.want || !strings.Contains(string(out), c.says) {
			t.Errorf("%s: exit %d, want %d and %q\n%s", c.args, code, c.want, c.says, out)
		}
	}
}

func TestValidatePrintsEveryMistakeWithItsPlace(t *testing.T) {
	t.Parallel()
	dir := harness.ShortDir(t)
	data, err := os.ReadFile(filepath.Join("testdata", "ten.bad.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	yaml, want, _ := strings.Cut(string(data), "# want:\n")
	harness.WriteFile(t, dir, "config.yaml", []byte(yaml))
	cmd := harness.Command(t, dir, "validate", "-c", "config.yaml")
	out, err := cmd.CombinedOutput()
	if harness.ExitCode(err) != 2 {
		t.Errorf("exit %d, want 2", harness.ExitCode(err))
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
