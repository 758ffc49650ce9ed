package acme

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/tls/acme/acmetest"
)

func TestADamagedAccountIsReplaced(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ what, file, content string }{
		{"an empty key", "account.key", ""},
		{"an empty account", "account.json", ""},
		{"zeros", "account.json", strings.Repeat("\x00", 300)},
		{"an account without a location", "account.json", "{}"},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			_, g, cfg := withAuthority(t, acmetest.Options{})
			g.Commit(cfg, []string{name}, both)
			g.await("obtained " + name)
			found, err := filepath.Glob(filepath.Join(string(cfg.Storage), "acme", "*", "users", "*", c.file))
			if err != nil || len(found) != 1 {
				t.Fatalf("account %q, %v", found, err)
			}
			if err := os.WriteFile(found[0], []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			names := []string{name, "b.example.com", "c.example.com"}
			g.Commit(cfg, names, both)
			damaged := 0
			for obtained := 0; obtained < len(names)-1; {
				switch e := <-g.events; {
				case strings.HasPrefix(e, "obtained "):
					obtained++
				case e == EventDamaged:
					damaged++
				default:
					t.Fatalf("event %q: %v", e, g.lastError(strings.TrimPrefix(e, "failed ")))
				}
			}
			if kept, err := os.ReadFile(found[0] + ".bad"); err != nil || string(kept) != c.content {
				t.Errorf("the damaged file is not kept: %v", err)
			}
			if damaged != 1 {
				t.Errorf("it was told %d times", damaged)
			}
		})
	}
}

func TestAnAccountThatCannotBeReadIsNotReplaced(t *testing.T) {
	t.Parallel()
	p, g, cfg := withAuthority(t, acmetest.Options{})
	a := accountFor(t, g, cfg)
	blocked := a.storage.Filename(a.registrationKey("account.json"))
	if err := os.MkdirAll(blocked, 0o700); err != nil { // cannot be read as a file
		t.Fatal(err)
	}
	g.Commit(cfg, []string{name}, both)
	g.await("failed " + name)
	if err := g.lastError(name); err == nil || !strings.Contains(err.Error(), blocked) {
		t.Errorf("error %v", err)
	}
	if info, err := os.Stat(blocked); err != nil || !info.IsDir() {
		t.Errorf("it was replaced: %v", err)
	}
	if strings.Contains(p.Log(), "accounts in memory") {
		t.Error("another account was registered")
	}
}
