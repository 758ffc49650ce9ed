package acme_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/admin"
)

// hangingStorage is a configuration whose ACME storage does not answer when the
// certificates are read: in their place are named pipes, which open(2) waits for.
func hangingStorage(t *testing.T, dir string, names ...string) (yaml string) {
	t.Helper()
	const directory = "https://127.0.0.1:1/dir"
	issuer := (&certmagic.ACMEIssuer{CA: directory}).IssuerKey()
	for _, name := range names {
		path := filepath.Join(dir, "store", filepath.FromSlash(certmagic.StorageKeys.SiteCert(issuer, name)))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return `
reload: {watch: false}
acme: {directory: "` + directory + `", storage: store}
listeners:
  - name: public
    address: 127.0.0.1:0
    tls: {certificates: [{acme: [` + names[0] + `]}]}
  - {name: plain, address: "127.0.0.1:0"}
routes:
  - {match: {path: /word}, listeners: [all], respond: {body: "old"}}
`
}

func mustEnd(g *harness.Gateway) {
	g.T.Helper()
	select {
	case <-g.Done:
	case <-time.After(20 * time.Second):
		g.T.Fatal("the gateway does not end")
	}
}

func TestAnACMEStorageThatHangsHoldsNoStartNoReloadAndNoStop(t *testing.T) {
	t.Parallel()
	dir := harness.ShortDir(t)
	yaml := hangingStorage(t, dir, "one.example.test", "two.example.test")
	g := harness.Start(t, dir, yaml)
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	word := "http://" + g.Address("plain") + "/word"
	if _, body, _ := harness.Get(t, c, word); body != "old" {
		t.Errorf("got %q", body)
	}
	yaml = strings.NewReplacer("[one.", "[one.example.test, two.", `"old"`, `"new"`).Replace(yaml)
	if o := g.Apply(yaml); o.Result != admin.Applied {
		t.Fatalf("reload: %s %v", o.Result, o.Errors)
	}
	if _, body, _ := harness.Get(t, c, "http://"+g.Address("plain")+"/word"); body != "new" {
		t.Errorf("got %q", body)
	}
	testkit.RetryFor(t, time.Minute, "the status to say what is wrong", func() error {
		for _, c := range certificates(g, "acme") {
			if c.Subject == "two.example.test" && strings.Contains(c.Error, "does not answer") {
				return nil
			}
		}
		return fmt.Errorf("%+v", certificates(g, "acme"))
	})
	if err := g.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	mustEnd(g)
}

func TestTwoSignalsEndAStartThatWaitsForAStorage(t *testing.T) {
	t.Parallel()
	dir := harness.ShortDir(t)
	yaml := strings.Replace(hangingStorage(t, dir, "one.example.test", "two.example.test"), "[one.", "[two.example.test, one.", 1)
	pipes, err := filepath.Glob(filepath.Join(dir, "store/certificates/*/one.example.test/*.crt"))
	if err != nil || len(pipes) != 1 {
		t.Fatal(pipes, err)
	}
	harness.WriteFile(t, dir, "config.yaml", []byte(yaml))
	cmd := harness.Command(t, dir, "run", "-c", "config.yaml")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-done })
	testkit.RetryFor(t, 20*time.Second, "the certificates to be read", func() error {
		f, err := os.OpenFile(pipes[0], os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err == nil {
			f.Close() // this one is empty, and the other hangs
		}
		return err
	})
	// Several, since signals of one kind that come together are one.
	testkit.RetryFor(t, 20*time.Second, "the end", func() error {
		select {
		case <-done:
			return nil
		default:
			_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
			return errors.New("it runs on")
		}
	})
}
