package proxy

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// write creates or overwrites a file in place.
func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func startWatcher(t *testing.T, files ...string) *watcher {
	t.Helper()
	w, err := newWatcher()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	w.Watch(files, time.Now())
	// Files written just now may count as newer than the moment above.
	select {
	case <-w.Changed():
		w.Watch(files, time.Now().Add(clockGrain*2))
	case <-time.After(clockGrain * 2):
	}
	return w
}

func expectChange(t *testing.T, w *watcher) {
	t.Helper()
	select {
	case <-w.Changed():
	case <-time.After(10 * time.Second):
		t.Fatal("the change was not seen")
	}
}

func TestWatcherSeesEveryWayThatAFileIsReplaced(t *testing.T) {
	for name, replace := range map[string]func(t *testing.T, dir string){
		"written in place": func(t *testing.T, dir string) { write(t, filepath.Join(dir, "tls.crt"), "two") },
		"renamed into place": func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "new"), "two")
			if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "tls.crt")); err != nil {
				t.Fatal(err)
			}
		},
		"removed and made again": func(t *testing.T, dir string) {
			os.Remove(filepath.Join(dir, "tls.crt"))
			write(t, filepath.Join(dir, "tls.crt"), "two")
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "tls.crt"), "one")
			w := startWatcher(t, filepath.Join(dir, "tls.crt"))
			replace(t, dir)
			expectChange(t, w)
		})
	}
}

// Kubernetes mounts a secret as name -> ..data/name, and ..data -> a folder
// with a time stamp; an update swaps ..data.
func TestWatcherSeesAKubernetesSwap(t *testing.T) {
	dir := t.TempDir()
	link := func(target, name string) {
		t.Helper()
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range []string{"..1", "..2", "..3"} {
		if err := os.Mkdir(filepath.Join(dir, v), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, v, "tls.crt"), v)
	}
	link("..1", "..data")
	link("..data/tls.crt", "tls.crt")
	w := startWatcher(t, filepath.Join(dir, "tls.crt"))
	for _, v := range []string{"..2", "..3"} {
		link(v, "..tmp")
		if err := os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
		expectChange(t, w)
	}
}

func TestWatcherReportsAFileThatChangedWhileItWasLoaded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tls.crt")
	write(t, file, "one")
	w, err := newWatcher()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	w.Watch([]string{file}, time.Now().Add(-time.Minute))
	expectChange(t, w)
}

func TestWatcherIsQuietAboutNeighbours(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "tls.crt")
	write(t, file, "one")
	w := startWatcher(t, file)
	write(t, filepath.Join(dir, "access.log"), "a line")
	select {
	case <-w.Changed():
		t.Fatal("another file of the folder was taken for the watched one")
	case <-time.After(3 * settle):
	}
}
