package acme

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mcpgateway/mcpgateway/proxy/config"
)

func TestAStorageThatCannotBeUsedIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g := newGateway(t)
	for _, path := range []string{file, filepath.Join(file, "acme")} {
		_, err := g.Prepare(&Config{Storage: config.Path(path)})
		if err == nil || !strings.Contains(err.Error(), "acme.storage "+path+": "+file+" is a file; move it away") {
			t.Errorf("%s: error %v", path, err)
		}
	}
	if warning, err := g.Prepare(nil); err != nil || warning != "" {
		t.Errorf("%q, %v", warning, err)
	}
}

func TestAStorageIsCheckedWithoutATrace(t *testing.T) {
	g, dir := newGateway(t), t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "var", "acme")} {
		if warning, err := g.Prepare(&Config{Storage: config.Path(path)}); err != nil || warning != "" {
			t.Errorf("%s: %q, %v", path, warning, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestOnlyWhatWillNotPassIsAnErrorOfTheStorage(t *testing.T) {
	for _, c := range []struct {
		errno         syscall.Errno
		exists        bool
		warning, fail string
	}{
		{syscall.ENOSPC, true, "is on a disk that is full; make room", ""},
		{syscall.ENOSPC, false, "is on a disk that is full; make room", ""},
		{syscall.EDQUOT, true, "has used its disk quota up", ""},
		{syscall.EROFS, true, "is on a filesystem that is read-only; mount it for writing", ""},
		{syscall.EROFS, false, "", "does not exist, and its filesystem is read-only"},
		{syscall.EIO, true, "cannot be written", ""},
		{syscall.EIO, false, "", "cannot be a directory"},
		{syscall.EACCES, true, "", "give the directory to that user"},
		{syscall.EPERM, false, "", "give the directory to that user"},
		{syscall.ENAMETOOLONG, true, "", "cannot be a directory; name another one"},
	} {
		warning, err := judgeStorage("/srv/acme", c.exists, &fs.PathError{Op: "open", Path: "/srv/acme/x", Err: c.errno})
		if (warning == "") != (c.warning == "") || !strings.Contains(warning, c.warning) ||
			warning != "" && !strings.Contains(warning, "Certificates that are stored there serve") {
			t.Errorf("%v: warning %q", c.errno, warning)
		}
		if (err == nil) != (c.fail == "") || err != nil && !strings.Contains(err.Error(), c.fail) {
			t.Errorf("%v: error %v", c.errno, err)
		}
	}
}
