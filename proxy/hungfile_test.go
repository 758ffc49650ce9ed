package proxy

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/admin"
	"github.com/mcpgateway/mcpgateway/proxy/config"
)

// hangingFile is a file whose open(2) does not return, as on a network file system
// whose server is gone, for those who do not pass O_NONBLOCK.
func hangingFile(t *testing.T, path string) {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // those who wait for it end
		if f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0); err == nil {
			f.Close()
		}
	})
}

func TestAFileThatHangsHoldsNoReload(t *testing.T) {
	t.Parallel()
	const yaml = unwatched + "listeners: [{name: public, address: \"127.0.0.1:0\"}]\nroutes: [{match: {path: /}, respond: {body: old}}]\n"
	p := idle(t, "", yaml)
	p.disk.Open, p.disk.Timeout = os.Open, time.Second
	p.begin()
	p.serves()
	hangingFile(t, filepath.Join(p.dir, "key"))
	hangs := strings.Replace(yaml, "old", "new", 1) + "clusters: [{name: up, endpoints: [\"http://127.0.0.1:1\"], headers: {Key: {file: key}}}]\n"
	want := filepath.Join(p.dir, "config.yaml") + ":4:80: clusters[0].headers.Key.file: cannot read " + filepath.Join(p.dir, "key") + ": the file system does not answer within 1s"
	for range 2 {
		if o := p.apply(hangs); o.Result != admin.Rejected || len(o.Errors) != 1 || o.Errors[0] != want {
			t.Errorf("%s: %q, want %q", o.Result, o.Errors, want)
		}
		expectBody(t, "http://"+p.address("public")+"/", "old")
	}
	p.mustApply(strings.Replace(yaml, "old", "new", 1))
	expectBody(t, "http://"+p.address("public")+"/", "new")
}

func TestAWatcherThatAFileSystemHoldsHoldsNoReload(t *testing.T) {
	t.Parallel()
	w, err := newWatcher(func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	disk, dir := &config.Disk{Open: os.Open, Timeout: time.Hour}, t.TempDir()
	write(t, filepath.Join(dir, "config.yaml"), "name: key\n")
	write(t, filepath.Join(dir, "key"), "")
	var named struct {
		Name config.Secret `yaml:"name"`
	}
	snapshot, err := config.Load(t.Context(), filepath.Join(dir, "config.yaml"), config.Options{Disk: disk}, &named)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "key")); err != nil {
		t.Fatal(err)
	}
	hangingFile(t, filepath.Join(dir, "key"))
	done := make(chan error, 1)
	go func() {
		for range 3 {
			w.Watch(snapshot)
		}
		w.Close()
		done <- nil
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Error("the watcher holds those who call it")
	}
}
