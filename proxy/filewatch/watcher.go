package filewatch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// quiet is how long files must have been quiet before a change counts:
	// editors and cp write in several steps.
	quiet = 200 * time.Millisecond
	// PollEvery is how often files are looked at without a notification, which some
	// file systems do not send.
	PollEvery = 30 * time.Second
	// patience is how long callers wait for the watcher: what it looks at may be on
	// a file system that does not answer.
	patience = time.Second
)

// Set is what a Watcher watches, as one reading found it.
type Set struct {
	// Paths are the files, absolute.
	Paths []string
	// Moved reports whether a file is not as it was read any more; nil: none is.
	Moved func() bool
	// Hung reports whether a file system gave no answer when the files were read.
	// What they hold is not known then. nil: it gave one.
	Hung func() bool
}

// Watcher tells when any of a set of files may have changed. It watches the
// folders that hold them, and those their symbolic links lead through, so
// that renames into place and Kubernetes' swaps of ..data are seen. It watches
// the files as well: a write to a file that is mounted into a folder by itself,
// as containers do, is no event of that folder. What it reports is decided by
// looking at the files themselves.
type Watcher struct {
	// add asks the kernel for notifications about a path.
	add func(path string) error
	// warn is told of each path that the kernel will not watch.
	warn   func(error)
	warned map[string]bool

	notify  *fsnotify.Watcher // nil: there is only the poll
	changed chan struct{}
	wanted  chan Set
	late    chan Set // for a watcher that waits for a file system
	stop    chan struct{}
	wg      sync.WaitGroup
}

// New starts a Watcher, which Close ends. It works beside an error, too, which says
// that it only looks every PollEvery. warn is called with the paths of which this
// becomes true later.
func New(warn func(error)) (*Watcher, error) {
	w := &Watcher{warn: warn, warned: map[string]bool{}, changed: make(chan struct{}), wanted: make(chan Set), late: make(chan Set, 1), stop: make(chan struct{})}
	n, err := fsnotify.NewWatcher()
	if err != nil {
		err = fmt.Errorf("watching files: %w", err)
	} else {
		w.notify, w.add = n, n.Add
	}
	w.wg.Add(1)
	go w.run()
	return w, err
}

// Changed receives a value after the watched files have changed. It is never
// closed.
func (w *Watcher) Changed() <-chan struct{} { return w.changed }

// Watch replaces the set of files; the zero Set has none. Files that are not as they
// were read any more are reported. It is called by one goroutine at a time, which
// it holds for a second at most.
func (w *Watcher) Watch(s Set) {
	select {
	case <-w.late: // s takes its place
	default:
	}
	select {
	case w.wanted <- s:
	case <-w.stop:
	case <-time.After(patience):
		w.late <- s // it has room, since only this goroutine sends
	}
}

// Close ends the watcher's goroutine, unless a file system holds that.
func (w *Watcher) Close() {
	close(w.stop)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.wg.Wait()
		if w.notify != nil {
			w.notify.Close() // it waits, too, for what the kernel is asked to watch
		}
	}()
	select {
	case <-ended:
	case <-time.After(patience):
	}
}

func (w *Watcher) run() {
	defer w.wg.Done()
	poll := time.NewTicker(PollEvery)
	defer poll.Stop()
	timer := time.NewTimer(quiet)
	timer.Stop()
	defer timer.Stop()

	var events <-chan fsnotify.Event
	var errs <-chan error
	if w.notify != nil {
		events, errs = w.notify.Events, w.notify.Errors
	}

	var files []string
	var known, seen string   // what was reported last, and what was seen last
	var report chan struct{} // w.changed while there is something to report
	looking := false         // timer runs
	hung := false            // what is in the files is not known
	// A change counts when two looks agree. Events only start the first: a
	// busy file beside the watched ones must not put off the second.
	look := func() {
		if !looking {
			seen, looking = signature(files), true
			timer.Reset(quiet)
		}
	}
	watch := func(set Set) {
		files, report = set.Paths, nil
		w.follow(files)
		// First the signature, then the contents: what changes after either is
		// seen by the next look.
		known = signature(files)
		if set.Moved != nil && set.Moved() {
			report = w.changed
		}
		hung = set.Hung != nil && set.Hung()
	}
	for {
		select {
		case <-w.stop:
			return
		case set := <-w.wanted:
			watch(set)
		case set := <-w.late:
			watch(set)
		case <-events:
			look()
		case err := <-errs:
			if err != nil { // the queue has run over: look for ourselves
				look()
			}
		case <-poll.C:
			if hung {
				report = w.changed // no look tells whether the file system answers again
			}
			look()
		case <-timer.C:
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

// follow makes the set of watched paths the one that files need.
func (w *Watcher) follow(files []string) {
	if w.notify == nil {
		return
	}
	want := map[string]bool{}
	for _, f := range files {
		links := chain(f)
		for _, link := range links {
			want[filepath.Dir(link)] = true
		}
		want[links[len(links)-1]] = true
	}
	for _, path := range w.notify.WatchList() {
		if !want[path] {
			_ = w.notify.Remove(path) // it is gone
		}
	}
	for path := range w.warned {
		if !want[path] {
			delete(w.warned, path)
		}
	}
	// Also those that are watched already: another file may stand there now.
	var refused []string
	var last error
	for path := range want {
		err := w.add(path)
		switch {
		case err == nil:
			delete(w.warned, path)
		case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
			// Its folder, or the poll, sees it come.
		case !w.warned[path]:
			w.warned[path] = true
			refused, last = append(refused, path), err
		}
	}
	if len(refused) > 0 {
		w.warn(notWatched(refused, last))
	}
}

// notWatched says what the poll has to see, why, and what can be done.
func notWatched(paths []string, err error) error {
	remedy := ""
	if errors.Is(err, syscall.ENOSPC) {
		err = errors.New("the inotify watches of this user are used up")
		remedy = "; raise fs.inotify.max_user_watches (sysctl)"
	}
	slices.Sort(paths)
	return fmt.Errorf("the kernel does not watch %s (of %d such): %w; changes there are found within %s%s", paths[0], len(paths), err, PollEvery, remedy)
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
