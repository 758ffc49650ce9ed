package filewatch

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// write creates or overwrites a file in place.
func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// startWatcher starts a watcher, and returns the set that holds the file tls.crt of
// dir as it is now.
func startWatcher(t *testing.T, dir string) (*Watcher, Set) {
	t.Helper()
	path := filepath.Join(dir, "tls.crt")
	was, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	set := Set{Paths: []string{path}, Moved: func() bool {
		is, err := os.ReadFile(path)
		return err != nil || !bytes.Equal(is, was)
	}}
	w, err := New(func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w, set
}

func expectChange(t *testing.T, w *Watcher) {
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
			w, set := startWatcher(t, dir)
			w.Watch(set)
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
	w, set := startWatcher(t, dir)
	w.Watch(set)
	for _, v := range []string{"..2", "..3"} {
		link(v, "..tmp")
		if err := os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
		expectChange(t, w)
	}
}

// A file that is mounted by itself is written by another name, of which the
// folder gets no event.
func TestWatcherSeesAWriteThroughAnotherName(t *testing.T) {
	dir, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "tls.crt")
	write(t, elsewhere, "one")
	if err := os.Link(elsewhere, filepath.Join(dir, "tls.crt")); err != nil {
		t.Fatal(err)
	}
	w, set := startWatcher(t, dir)
	w.Watch(set)
	for _, content := range []string{"two", "three"} {
		write(t, elsewhere, content)
		expectChange(t, w)
	}
	// Another file takes its place, which is watched then.
	write(t, elsewhere+".new", "four")
	if err := os.Link(elsewhere+".new", filepath.Join(dir, "new")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "tls.crt")); err != nil {
		t.Fatal(err)
	}
	expectChange(t, w)
	write(t, elsewhere+".new", "five")
	expectChange(t, w)
}

func TestWatcherSaysOnceThatTheKernelWatchesNoMore(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "tls.crt"), "one")
	w, set := startWatcher(t, dir)
	var said []string
	w.warn = func(err error) { said = append(said, err.Error()) }
	w.add = func(string) error { return syscall.ENOSPC }
	w.Watch(set)
	w.Watch(set)
	w.Watch(Set{}) // the second is done when the third is taken
	if len(said) != 1 || !strings.Contains(said[0], "max_user_watches") || !strings.Contains(said[0], dir) {
		t.Errorf("said %q", said)
	}
}

func TestWatcherReportsWhatChangedWhileItWasLoaded(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "tls.crt"), "one")
	w, set := startWatcher(t, dir)
	write(t, filepath.Join(dir, "tls.crt"), "two")
	w.Watch(set)
	expectChange(t, w)
}

func TestWatcherIsQuietAboutNeighboursAndWhatIsNoLongerNamed(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "tls.crt"), "one")
	w, set := startWatcher(t, dir)
	expectQuiet := func(what string) {
		t.Helper()
		select {
		case <-w.Changed():
			t.Error(what)
		case <-time.After(3 * quiet):
		}
	}
	w.Watch(set)
	write(t, filepath.Join(dir, "access.log"), "a line")
	expectQuiet("another file of the folder was taken for the watched one")
	w.Watch(Set{})
	write(t, filepath.Join(dir, "tls.crt"), "two")
	expectQuiet("a file was watched that is not in the set")
}

// A log beside the watched files is written all the time.
func TestABusyNeighbourDoesNotHideAChange(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "tls.crt"), "one")
	w, set := startWatcher(t, dir)
	w.Watch(set)
	stop := make(chan struct{})
	var busy sync.WaitGroup
	defer busy.Wait()
	defer close(stop)
	busy.Go(func() {
		tick := time.NewTicker(quiet / 10)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				_ = os.WriteFile(filepath.Join(dir, "access.log"), []byte("a line"), 0o600)
			}
		}
	})
	write(t, filepath.Join(dir, "tls.crt"), "two")
	expectChange(t, w)
}

func TestAFileSystemThatDoesNotAnswerHoldsNoCaller(t *testing.T) {
	t.Parallel()
	w, err := New(func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	answer := make(chan struct{})
	defer close(answer)
	hanging := Set{Moved: func() bool { <-answer; return false }}
	done := make(chan struct{})
	go func() {
		for range 3 {
			w.Watch(hanging)
		}
		w.Close()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Error("the watcher holds its callers")
	}
}

// No look tells that a file system answers again, so the set is read anew from time
// to time.
func TestASetThatCouldNotBeReadIsReportedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &Watcher{warn: func(err error) { t.Error(err) }, warned: map[string]bool{}, changed: make(chan struct{}), wanted: make(chan Set), late: make(chan Set, 1), stop: make(chan struct{})}
		w.wg.Add(1)
		go w.run()
		defer w.Close()
		began := time.Now()
		w.Watch(Set{Hung: func() bool { return true }})
		<-w.Changed()
		if took := time.Since(began); took != PollEvery {
			t.Errorf("it is reported after %v", took)
		}
		w.Watch(Set{Hung: func() bool { return false }})
		select {
		case <-w.Changed():
			t.Error("what was read is reported")
		case <-time.After(3 * PollEvery):
		}
	})
}
