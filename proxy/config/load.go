package config

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/disk"
)

// Options are what Load takes from its surroundings. The zero value is usable.
type Options struct {
	// Env resolves ${NAME}; nil is the process environment.
	Env func(string) (string, bool)
	// RetryFor bounds how long Load waits for files that a program is in the
	// middle of replacing; 0 is 3s, negative is not at all.
	RetryFor time.Duration
	// Running is what the generation in force was loaded from, so that what
	// serves already can be told from what an edit brings in; nil where none is.
	Running *Snapshot
	// Disk bounds what is waited for the files; nil is one for this Load. Loads that
	// share one have a path that hangs hold one thread.
	Disk *disk.Disk
	// Open opens a file for reading; nil does so without waiting for the writer of a
	// named pipe.
	Open func(path string) (*os.File, error)
}

// retryEvery is the pause between two tries.
const retryEvery = 100 * time.Millisecond

// Snapshot is what a Load read.
type Snapshot struct {
	// Path is the absolute path of the YAML file, symbolic links unresolved.
	Path string
	// Files are the absolute paths of the YAML file, first, and of every file
	// that it names, the unreadable ones included, so that all can be watched.
	Files []string
	// Sum changes with the content, or the absence, of any of Files.
	Sum [32]byte
	// Warnings are in the order of the file.
	Warnings []Error

	read *files
}

// Moved reads all files again and names the first that is not as the snapshot
// has it, or returns "".
func (s *Snapshot) Moved() string {
	if s.read == nil {
		return ""
	}
	return s.read.moved(context.Background())
}

// Hung reports whether a file system gave no answer in time. What the files hold
// is not known then.
func (s *Snapshot) Hung() bool { return s.read != nil && s.read.hung != "" }

// holds reports whether data is the content of one of the files.
func (s *Snapshot) holds(data []byte) bool { return s != nil && s.read != nil && s.read.holds(data) }

// Load reads the YAML file, and every file it names, into dst, a pointer to a
// struct, which is overwritten as a whole, or on error not at all.
//
// The error is Errors when the files are at fault, and wraps ctx's when ctx
// ended a wait for them. The Snapshot is never nil; on error its Files are those
// that the failed try wanted.
func Load(ctx context.Context, path string, opts Options, dst any) (*Snapshot, error) {
	target, s, err := compileTarget(dst)
	if err != nil {
		return &Snapshot{}, err
	}
	if opts.Env == nil {
		opts.Env = os.LookupEnv
	}
	opts.RetryFor = cmp.Or(opts.RetryFor, 3*time.Second)
	if opts.Disk == nil {
		opts.Disk = disk.New(context.Background(), disk.Timeout)
	}
	if opts.Open == nil {
		opts.Open = openNow
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return &Snapshot{}, fmt.Errorf("finding %s: %w", path, err)
	}
	deadline := time.Now().Add(opts.RetryFor)
	for {
		fresh := reflect.New(s.typ).Elem()
		snapshot, errs := try(ctx, path, abs, opts, fresh, s)
		switch {
		case len(errs) == 0:
			target.Set(fresh)
			return snapshot, nil
		case ctx.Err() != nil:
			return snapshot, fmt.Errorf("%w, while reading the files:\n%w", context.Cause(ctx), errs)
		case !errs.transient() || time.Until(deadline) < retryEvery:
			return snapshot, errs
		}
		pause := time.NewTimer(retryEvery)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return snapshot, fmt.Errorf("%w, while waiting for:\n%w", context.Cause(ctx), errs)
		}
	}
}

// try reads everything once, decodes it, and reads it again to see that
// nothing moved meanwhile.
func try(ctx context.Context, path, abs string, opts Options, v reflect.Value, s *spec) (*Snapshot, Errors) {
	read, errors, warnings := newFiles(opts), newReporter(path), newReporter(path)
	if yaml, err := read.get(ctx, abs, maxYAML); err != nil {
		errors.add(Error{Message: "cannot read it: " + err.Error()})
	} else if root := parse(yaml.data, errors); root != nil {
		d := decoder{ctx: ctx, dir: filepath.Dir(abs), env: opts.Env, files: read, report: errors}
		d.value(root, v, s)
		scope := Scope{at: root.here(), trail: new(trail), running: opts.Running, errors: errors, warnings: warnings}
		scope.validate(v, s)
	}
	snapshot := &Snapshot{Path: abs, Files: read.paths(), Sum: read.sum(), Warnings: warnings.sorted(), read: read}
	if moved := read.moved(ctx); moved != "" {
		// The errors, if any, are those of old and new files together.
		return snapshot, Errors{{File: path, Message: moved + " changes while it is being read", Transient: true}}
	}
	return snapshot, errors.sorted()
}
