package harness

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Root is the module's folder, as the tests of every package of e2e see it: go
// test runs them in the package's own folder.
const Root = "../../../../.."

// Main runs the tests of a package of e2e, once the gateway is built: no test has
// to wait for that in the middle of what it times.
func Main(m *testing.M) {
	if _, err := binary(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	m.Run()
}

// binary is the gateway as users run it. Packages run side by side, so one of them
// builds while the others wait, and then find the result up to date. Its name says
// its content: the tests of other sources in the same folder leave it alone.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := filepath.Abs(filepath.Join(Root, ".cache", "e2e"))
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close() // which unlocks
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	latest := filepath.Join(dir, "mcpgateway")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", latest, "github.com/mcpgateway/mcpgateway/cmd/mcpgateway")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the gateway: %w\n%s", err, out)
	}
	content, err := os.ReadFile(latest)
	if err != nil {
		return "", err
	}
	name := fmt.Sprintf("%s-%.8x", latest, sha256.Sum256(content))
	// A rebuild replaces the file latest and does not write into it, so that a
	// second name for it keeps what it names.
	if err := os.Link(latest, name); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return name, removeOld(latest+"-*", name)
})

// removeOld removes what no test has used for a day, except what is kept.
func removeOld(pattern, keep string) error {
	files, err := filepath.Glob(pattern)
	if err != nil {
		return err
	}
	now := time.Now()
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && file != keep && now.Sub(info.ModTime()) > 24*time.Hour {
			_ = os.Remove(file)
		}
	}
	return os.Chtimes(keep, now, now)
}

// Command is a command line of the gateway's binary, run in dir.
func Command(t testing.TB, dir string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	return cmd
}
