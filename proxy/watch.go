package proxy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/mcpgateway/mcpgateway/proxy/config"
)

const (
	// settle is how long files must have been quiet before a change counts:
	// editors and cp write in several steps.
	settle = 200 * time.Millisecond
	// pollEvery is the net under the notifications, which some file systems
	// do not send.
	pollEvery = 30 * time.Second
)

// watcher tells when any of a set of files may have changed. It watches the
// folders that hold them, and those their symbolic links lead through, so
// that renames into place and Kubernetes' swaps of ..data are seen; what it
// reports is decided by looking at the files themselves.
type watcher struct {
	notify  *fsnotify.Watcher // nil: there is only the poll
	changed chan struct{}
	wanted  chan *config.Snapshot
	stop    chan struct{}
	wg      sync.WaitGroup
}

// newWatcher starts a watcher. It works beside an error, too, which says that
// it has only the poll.
func newWatcher() (*watcher, error) {
	w := &watcher{changed: make(chan struct{}), wanted: make(chan *config.Snapshot), stop: make(chan struct{})}
	n, err := fsnotify.NewWatcher()
	if err != nil {
		err = fmt.Errorf("watching files: %w", err)
	} else {
		w.notify = n
	}
	w.wg.Add(1)
	go w.run()
	return w, err
}

// Changed receives a value after the watched files have changed. It is never
// closed.
func (w *watcher) Changed() <-chan struct{} { return w.changed }

// Watch replaces the set of files by those of a snapshot; nil watches nothing.
// Files that are not as the snapshot has them any more are reported.
func (w *watcher) Watch(s *config.Snapshot) {
	select {
	case w.wanted <- s:
	case <-w.stop:
	}
}

// Close ends the watcher's goroutine.
func (w *watcher) Close() {
	close(w.stop)
	w.wg.Wait()
	if w.notify != nil {
		w.notify.Close()
	}
}

func (w *watcher) run() {
	defer w.wg.Done()
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	quiet := time.NewTimer(settle)
	quiet.Stop()
	defer quiet.Stop()

	var events <-chan fsnotify.Event
	var errs <-chan error
	if w.notify != nil {
		events, errs = w.notify.Events, w.notify.Errors
	}

	var files []string
	var known, seen string   // what was reported last, and what was seen last
	var report chan struct{} // w.changed while there is something to report
	looking := false         // quiet runs
	// A change counts when two looks agree. Events only start the first: a
	// busy file beside the watched ones must not put off the second.
	look := func() {
		if !looking {
			seen, looking = signature(files), true
			quiet.Reset(settle)
		}
	}
	for {
		select {
		case <-w.stop:
			return
		case snapshot := <-w.wanted:
			files, report = nil, nil
			if snapshot != nil {
				files = snapshot.Files
			}
			w.follow(files)
			// First the signature, then the contents: what changes after
			// either is seen by the next look.
			if known = signature(files); snapshot != nil && snapshot.Moved() != "" {
				report = w.changed
			}
		case <-events:
			look()
		case err := <-errs:
			if err != nil { // the queue has run over: look for ourselves
				look()
			}
		case <-poll.C:
			look()
		case <-quiet.C:
			looking = false
			switch now := signature(files); now {
			case known:
			case seen:
				known, report = now, w.changed
				// A swap may have led the links elsewhere.
				w.follow(files)
			default:
				look()
			}
		case report <- struct{}{}:
			report = nil
		}
	}
}

// follow makes the set of watched folders the one that files need.
func (w *watcher) follow(files []string) {
	if w.notify == nil {
		return
	}
	want := map[string]bool{}
	for _, f := range files {
		for _, link := range chain(f) {
			want[filepath.Dir(link)] = true
		}
	}
	for _, dir := range w.notify.WatchList() {
		if !want[dir] {
			_ = w.notify.Remove(dir) // it is gone
		}
		delete(want, dir)
	}
	for dir := range want {
		// A folder that is not there, or one too many: the poll sees it.
		_ = w.notify.Add(dir)
	}
}

// chain lists the symbolic links on the way to the file, and where they lead
// in the end. Each is in a folder of its own: two names of one folder would be
// one watch, and removing either would end it.
func chain(path string) []string {
	var links []string
	path = filepath.Clean(path)
	for range 16 {
		link, target, rest := firstLink(path)
		if link == "" {
			break
		}
		links = append(links, link)
		path = filepath.Join(target, rest)
	}
	return append(links, path)
}

// firstLink finds the first component of path that is a symbolic link: where
// it stands, where it leads, and what of the path is left behind it.
func firstLink(path string) (link, target, rest string) {
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i := range parts {
		link = "/" + filepath.Join(parts[:i+1]...)
		target, err := os.Readlink(link)
		if err != nil {
			continue
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(link), target)
		}
		return link, target, filepath.Join(parts[i+1:]...)
	}
	return "", "", ""
}

// signature changes whenever one of the files does.
func signature(files []string) string {
	var b strings.Builder
	for _, f := range files {
		if st, err := os.Stat(f); err != nil {
			fmt.Fprintf(&b, "%s!\n", f)
		} else {
			fmt.Fprintf(&b, "%s %s\n", f, fileState(st))
		}
	}
	return b.String()
}
