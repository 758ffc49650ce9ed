package proxy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settle is how long files must have been quiet before a change counts:
	// editors and cp write in several steps.
	settle = 200 * time.Millisecond
	// pollEvery is the net under the notifications, which some file systems
	// do not send.
	pollEvery = 30 * time.Second
	// clockGrain is how far a file's times lag behind the clock.
	clockGrain = 20 * time.Millisecond
)

// watcher tells when any of a set of files may have changed. It watches the
// folders that hold them, and those their symbolic links lead through, so
// that renames into place and Kubernetes' swaps of ..data are seen; what it
// reports is decided by looking at the files themselves.
type watcher struct {
	notify  *fsnotify.Watcher
	changed chan struct{}
	wanted  chan watched
	stop    chan struct{}
	wg      sync.WaitGroup
}

// watched is a set of files as it was at some moment.
type watched struct {
	files []string
	since time.Time
}

func newWatcher() (*watcher, error) {
	n, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watching files: %w", err)
	}
	w := &watcher{notify: n, changed: make(chan struct{}), wanted: make(chan watched), stop: make(chan struct{})}
	w.wg.Add(1)
	go w.run()
	return w, nil
}

// Changed receives a value after the watched files have changed. It is never
// closed.
func (w *watcher) Changed() <-chan struct{} { return w.changed }

// Watch replaces the set of files. Their state is known as of the moment
// since, when they began to be read: one that changed later is reported. No
// files, nothing is watched.
func (w *watcher) Watch(files []string, since time.Time) {
	select {
	case w.wanted <- watched{files, since}:
	case <-w.stop:
	}
}

// Close ends the watcher's goroutine.
func (w *watcher) Close() {
	close(w.stop)
	w.wg.Wait()
	w.notify.Close()
}

func (w *watcher) run() {
	defer w.wg.Done()
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	quiet := time.NewTimer(settle)
	quiet.Stop()
	defer quiet.Stop()

	var files []string
	var known string
	var report chan struct{} // w.changed while there is something to report
	look := func() {
		if now, _ := signature(files); now != known {
			known, report = now, w.changed
			// A swap may have led the links elsewhere.
			w.follow(files)
		}
	}
	for {
		select {
		case <-w.stop:
			return
		case next := <-w.wanted:
			files, report = next.files, nil
			w.follow(files)
			now, latest := signature(files)
			if known = now; latest.After(next.since.Add(-clockGrain)) {
				report = w.changed
			}
		case <-w.notify.Events:
			quiet.Reset(settle)
		case <-w.notify.Errors: // an overflow of the queue: look for ourselves
			quiet.Reset(settle)
		case <-quiet.C:
			look()
		case <-poll.C:
			look()
		case report <- struct{}{}:
			report = nil
		}
	}
}

// follow makes the set of watched folders the one that files need.
func (w *watcher) follow(files []string) {
	want := map[string]bool{}
	for _, f := range files {
		for _, link := range chain(f) {
			want[filepath.Dir(link)] = true
		}
	}
	for _, dir := range w.notify.WatchList() {
		if !want[dir] {
			w.notify.Remove(dir)
		}
		delete(want, dir)
	}
	for dir := range want {
		// A folder that is not there, or one too many: the poll sees it.
		_ = w.notify.Add(dir)
	}
}

// chain lists path and every symbolic link target on the way to the file.
func chain(path string) []string {
	paths := []string{path}
	for range 16 {
		resolved := path
		// The link may be any folder on the way: resolve the first one met.
		parts := strings.Split(strings.TrimPrefix(filepath.Clean(path), "/"), "/")
		prefix, found := "", false
		for i, part := range parts {
			prefix += "/" + part
			target, err := os.Readlink(prefix)
			if err != nil {
				continue
			}
			if !filepath.IsAbs(target) {
				target = filepath.Join(filepath.Dir(prefix), target)
			}
			paths = append(paths, prefix)
			resolved = filepath.Join(append([]string{target}, parts[i+1:]...)...)
			found = true
			break
		}
		if !found {
			return paths
		}
		path = resolved
		paths = append(paths, path)
	}
	return paths
}

// signature changes whenever one of the files does, and latest is when one
// last did.
func signature(files []string) (sum string, latest time.Time) {
	var b strings.Builder
	for _, f := range files {
		st, err := os.Stat(f)
		if err != nil {
			fmt.Fprintf(&b, "%s!\n", f)
			continue
		}
		state, changed := fileState(st)
		if changed.After(latest) {
			latest = changed
		}
		fmt.Fprintf(&b, "%s %s\n", f, state)
	}
	return b.String(), latest
}

func portableFileState(st os.FileInfo) (string, time.Time) {
	return fmt.Sprintf("%d %d", st.Size(), st.ModTime().UnixNano()), st.ModTime()
}
