package acme

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/tls/acme/acmetest"
)

func TestEachChallengeObtainsACertificate(t *testing.T) {
	t.Parallel()
	for _, challenge := range both {
		t.Run(challenge, func(t *testing.T) {
			p, g, cfg := withAuthority(t, acmetest.Options{})
			if warning, err := g.Prepare(cfg); err != nil || warning != "" {
				t.Fatal(warning, err)
			}
			before := g.Changes()
			g.Commit(cfg, []string{name}, []string{challenge})
			g.await("obtained " + name)
			if got := g.handshake(name, p.Roots()); !got.Equal(g.leaf(name)) {
				t.Error("another certificate is served than the manager says")
			}
			if g.Changes() <= before {
				t.Error("the change is not counted")
			}
			answers := map[string]int32{ChallengeTLSALPN01: g.tlsAnswers.Load(), ChallengeHTTP01: g.httpAnswers.Load()}
			for c, n := range answers {
				if (n > 0) != (c == challenge) {
					t.Errorf("%s was answered %d times, though only %s is allowed", c, n, challenge)
				}
			}
			if s := g.Status(); len(s) != 1 || s[0].Name != name || !s[0].Leaf.Equal(g.leaf(name)) || s[0].LastError != nil {
				t.Errorf("status %+v", s)
			}
		})
	}
}

func TestSecretsInTheStorageAreForTheGatewayAlone(t *testing.T) {
	t.Parallel()
	p, g := acmetest.Start(t, acmetest.Options{}), newGateway(t)
	g.listen(p)
	storage := filepath.Join(t.TempDir(), "acme")
	cfg := configFor(t, p, storage)
	if warning, err := g.Prepare(cfg); err != nil || warning != "" {
		t.Fatal(warning, err)
	}
	g.Commit(cfg, []string{name}, both)
	g.await("obtained " + name)
	keys := 0
	err := filepath.WalkDir(storage, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if d.IsDir() && info.Mode().Perm() != 0o700 {
			t.Errorf("directory %s has mode %v", path, info.Mode())
		}
		if strings.HasSuffix(path, ".key") {
			keys++
			if info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %v", path, info.Mode())
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if body := strings.Split(string(data), "\n")[1]; strings.Contains(g.log.String(), body) {
				t.Errorf("the log shows %s", path)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if keys != 2 {
		t.Errorf("%d keys, not one of the account and one of the certificate", keys)
	}
}

func TestAnExternalAccountIsBound(t *testing.T) {
	t.Parallel()
	_, g, cfg := withAuthority(t, acmetest.Options{ExternalAccounts: map[string]string{"kid-1": mac}})
	g.Commit(cfg, []string{name}, both)
	g.await("failed " + name)
	if err := g.lastError(name); err == nil || !strings.Contains(err.Error(), "externalAccountRequired") {
		t.Errorf("without a binding the error is %v", err)
	}
	bound := *cfg
	bound.ExternalAccount = ExternalAccount{KeyID: "kid-1", MACKey: config.Secret{File: config.File{Path: "mac", Data: []byte(mac + "=\n")}}}
	g.Commit(&bound, []string{name}, both)
	g.await("obtained " + name)
	if strings.Contains(g.log.String(), mac) {
		t.Error("the log shows the MAC key")
	}
}

func TestNamesAreReleased(t *testing.T) {
	t.Parallel()
	_, g, cfg := withAuthority(t, acmetest.Options{})
	g.Commit(cfg, []string{name, "Other.example.com"}, both)
	for range 2 {
		select {
		case e := <-g.events:
			if !strings.HasPrefix(e, "obtained ") {
				t.Fatalf("event %q\n%s", e, g.log)
			}
		case <-t.Context().Done():
		}
	}
	const other = "other.example.com"
	kept, left, changes := g.leaf(name), g.leaf(other), g.Changes()
	g.Commit(cfg, []string{name}, both)
	if !g.leaf(other).Equal(left) {
		t.Error("a name that handshakes still ask for is not served")
	}
	g.Release([]string{other}) // by a server that drains
	g.await("released " + other)
	if g.Release(nil); !g.leaf(other).Equal(left) {
		t.Error("a name that a handshake under way may ask for is not served")
	}
	if len(g.Status()) != 1 {
		t.Errorf("status of a released name: %+v", g.Status())
	}
	g.mu.Lock()
	g.entries[other].unused = time.Now().Add(-time.Hour)
	g.mu.Unlock()
	g.Release(nil)
	if _, err := g.Certificate(other); err == nil {
		t.Error("a name that was released is still served")
	}
	if g.Changes() == changes {
		t.Error("the change is not counted")
	}
	if !kept.Equal(g.leaf(name)) {
		t.Error("the other name was touched")
	}
	g.Commit(cfg, []string{name, "other.example.com"}, both)
	if _, err := g.Certificate("other.example.com"); err != nil {
		t.Errorf("a name that came back does not serve what is stored: %v", err)
	}
	g.Commit(nil, nil, nil)
	if len(g.Status()) != 0 {
		t.Error("names are left without an account")
	}
}

func TestTheSameCommitDisturbsNothing(t *testing.T) {
	t.Parallel()
	_, g, cfg := withAuthority(t, acmetest.Options{})
	g.Commit(cfg, []string{name}, both)
	was, renewer := g.account, g.entries[name].renewer
	again := *cfg
	g.Commit(&again, []string{name, name}, []string{ChallengeHTTP01})
	if g.account != was || g.entries[name].renewer != renewer || renewer.ctx.Err() != nil {
		t.Error("the order under way was begun anew")
	}
	g.await("obtained " + name)
}

func TestAnAddressGetsACertificate(t *testing.T) {
	t.Parallel()
	_, g, cfg := withAuthority(t, acmetest.Options{})
	const address = "127.0.0.1"
	g.Commit(cfg, []string{address}, []string{ChallengeTLSALPN01})
	g.await("obtained " + address)
	if err := g.leaf(address).VerifyHostname(address); err != nil {
		t.Error(err)
	}
	g.Close()
	if g.tlsAnswers.Load() == 0 {
		t.Error("the challenge was not answered over TLS")
	}
}
