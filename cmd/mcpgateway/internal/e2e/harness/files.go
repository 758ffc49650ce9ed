package harness

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// ShortDir is a folder whose path is short enough for a unix socket.
func ShortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// WriteFile writes a file of a test's folder, in place.
func WriteFile(t testing.TB, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Tail is the end of s, of n bytes at most.
func Tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

// Shell runs a script from a file whose name says nothing, in dir: the line that
// signals the gateway looks for its name in all command lines. pgrep sees the
// process group $GATEWAY only, so that the line may be the users' own while
// other tests run.
func Shell(t testing.TB, dir, script string, env ...string) string {
	t.Helper()
	bin := filepath.Join(dir, "bin")
	if err := os.MkdirAll(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	pgrep, err := exec.LookPath("pgrep")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "pgrep"), []byte("#!/bin/sh\nexec "+pgrep+" -g \"${GATEWAY:?}\" \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	WriteFile(t, dir, "script.sh", []byte("set -e\n"+script))
	cmd := exec.Command("bash", "script.sh")
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH")), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the script failed: %v\n%s", err, out)
	}
	return string(out)
}

// Read reads a file of a test's folder.
func Read(t testing.TB, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
