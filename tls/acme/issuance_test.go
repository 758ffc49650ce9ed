package acme

import (
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/certmagic"
	"golang.org/x/sys/unix"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/tls/acme/acmetest"
)

// certificateFile is where an account stores a file of the certificate of name.
func certificateFile(cfg *Config, ext string) string {
	issuer := (&certmagic.ACMEIssuer{CA: cfg.Directory}).IssuerKey()
	return filepath.Join(string(cfg.Storage), filepath.FromSlash(certmagic.StorageKeys.CertsSitePrefix(issuer, name)), name+ext)
}

func TestWhatCannotBeStoredIsNotOrdered(t *testing.T) {
	t.Parallel()
	p, g, cfg := withAuthority(t, acmetest.Options{})
	// Not even root can make a file in /proc.
	dir := filepath.Dir(certificateFile(cfg, ".crt"))
	if err := errors.Join(os.MkdirAll(filepath.Dir(dir), 0o700), os.Symlink("/proc", dir)); err != nil {
		t.Fatal(err)
	}
	g.Commit(cfg, []string{name}, both)
	for range 3 {
		g.await("failed " + name)
	}
	if err := g.lastError(name); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("error %v", err)
	}
	if n := p.Issued(); n != 0 {
		t.Errorf("%d certificates were issued", n)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	g.await("obtained " + name)
}

func TestNothingIsOrderedWhileWhatIsStoredCannotBeRead(t *testing.T) {
	t.Parallel()
	p, g, cfg := withAuthority(t, acmetest.Options{})
	blocked := certificateFile(cfg, ".crt")
	if err := os.MkdirAll(blocked, 0o700); err != nil { // cannot be read as a file
		t.Fatal(err)
	}
	g.Commit(cfg, []string{name}, both)
	for range 2 {
		g.await("failed " + name)
	}
	if err := g.lastError(name); err == nil || !strings.Contains(err.Error(), blocked) || p.Issued() != 0 {
		t.Errorf("error %v, %d certificates were issued", err, p.Issued())
	}
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	g.await("obtained " + name)
}

func TestACertificateThatCouldNotBeStoredServesAndIsStoredLater(t *testing.T) {
	t.Parallel()
	p, g, cfg := withAuthority(t, acmetest.Options{})
	// As if the disk were full by the time the certificate came.
	blocked := certificateFile(cfg, ".json")
	if err := os.MkdirAll(blocked, 0o700); err != nil {
		t.Fatal(err)
	}
	g.Commit(cfg, []string{name}, both)
	g.await("obtained " + name)
	first := g.handshake(name, p.Roots())
	for range 3 {
		g.await("failed " + name)
	}
	if err := g.lastError(name); !errors.Is(err, errUnsaved) {
		t.Errorf("error %v", err)
	}
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the certificate is not stored", func() bool { return g.lastError(name) == nil })
	g.Close()
	if n := g.entries[name].renewer.failures; n != 0 {
		t.Errorf("%d failures would still count at the next renewal", n)
	}

	next := newGateway(t)
	next.Commit(cfg, []string{name}, both)
	if !next.leaf(name).Equal(first) {
		t.Error("another certificate is stored than was served")
	}
	next.await("loaded " + name)
	if n := p.Issued(); n != 1 {
		t.Errorf("%d certificates were issued", n)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(blocked), ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("files are left: %q, %v", left, err)
	}
}

// limitFiles bounds the size of the files that the process writes; package
// testing writes some itself.
func limitFiles(t *testing.T, size uint64) (restore func()) {
	t.Helper()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(unix.SIGXFSZ)
	limit := before
	limit.Cur = size
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
			t.Error(err)
		}
		signal.Reset(unix.SIGXFSZ)
	}
}

func TestAStoreThatFailsLeavesTheStoredCertificateWhole(t *testing.T) {
	_, g, cfg := withAuthority(t, acmetest.Options{})
	g.Commit(cfg, []string{name}, both)
	g.await("obtained " + name)
	first := g.leaf(name)
	g.Close()
	a := accountFor(t, g, cfg)
	// Space for the key, and none for the chain.
	restore := limitFiles(t, 8<<20)
	err := a.save(name, &issuance{key: []byte("key"), chain: make([]byte, 9<<20), meta: []byte("{}")})
	restore()
	if !errors.Is(err, unix.EFBIG) {
		t.Errorf("error %v", err)
	}
	if h, err := a.load(t.Context(), name); err != nil || !h.leaf().Equal(first) {
		t.Errorf("the stored certificate is damaged: %v", err)
	}
}

func TestDamagedFilesDoNotKeepACertificateFromRenewal(t *testing.T) {
	t.Parallel()
	for _, ext := range []string{".json", ".crt", ".key"} {
		t.Run(ext, func(t *testing.T) {
			t.Parallel()
			_, g, cfg := withAuthority(t, acmetest.Options{Validity: short})
			g.Commit(cfg, []string{name}, both)
			g.await("obtained " + name)
			// As a power cut leaves it.
			if err := os.WriteFile(certificateFile(cfg, ext), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			g.await("renewed " + name)
			if err := g.lastError(name); err != nil {
				t.Error(err)
			}
		})
	}
}
