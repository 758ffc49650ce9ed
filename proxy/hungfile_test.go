package proxy

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/disk"
	"github.com/mcpgateway/mcpgateway/proxy/admin"
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
	p.reloader.load.Disk, p.reloader.load.Open = disk.New(context.Background(), time.Second), os.Open
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
