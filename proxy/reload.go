package proxy

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/admin"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/proxy/filewatch"
)

// A reloader takes the process from one generation to the next. It belongs to the
// goroutine that runs reloads, which is why one runs at a time; only last is read by
// others.
type reloader struct {
	shared *shared
	path   string
	load   config.Options // Running is filled in for each load
	notify serviceManager
	// watcher looks at the files of the last load; nil before Run.
	watcher *filewatch.Watcher
	// last is the outcome that operators are shown; nil before the first.
	last atomic.Pointer[admin.Outcome]
	// again receives when it is time to look for a rotation once more; nil is never.
	again            <-chan time.Time
	rotateAgainAfter time.Duration
}

// reload applies the file with the service manager told about it.
func (r *reloader) reload(ctx context.Context, trigger string) admin.Outcome {
	r.notify.reloading()
	outcome, snapshot, _ := r.applyFile(ctx, trigger)
	r.watcher.Watch(watchSet(snapshot))
	r.notify.ready(outcome)
	return outcome
}

// start applies the first generation. The error says why that cannot be, and is
// reported already.
func (r *reloader) start(ctx context.Context) error {
	outcome, snapshot, err := r.applyFile(ctx, "start")
	if err != nil {
		return err
	}
	r.notify.ready(outcome)
	r.watcher.Watch(watchSet(snapshot))
	return nil
}

// watchSet are the files of a snapshot, which may be nil.
func watchSet(s *config.Snapshot) filewatch.Set {
	if s == nil {
		return filewatch.Set{}
	}
	return filewatch.Set{Paths: s.Files, Moved: func() bool { return s.Moved() != "" }, Hung: s.Hung}
}

// Load reads the file at path into a checked Config. The snapshot is returned also
// beside an error, never nil: its Files are what to watch for the mend.
func Load(ctx context.Context, path string, opts config.Options) (*Config, *config.Snapshot, error) {
	cfg := new(Config)
	snapshot, err := config.Load(ctx, path, opts, cfg)
	if err != nil {
		return nil, snapshot, err
	}
	return cfg, snapshot, nil
}

// applyFile loads the file and, where it differs, makes it the newest
// generation. It returns the snapshot whose files are to be watched, whatever
// the outcome; nil where reload.watch is off. The error says why the outcome is a
// rejection, and is reported already.
func (r *reloader) applyFile(ctx context.Context, trigger string) (admin.Outcome, *config.Snapshot, error) {
	options := r.load
	if newest := r.shared.generations.newest(); newest != nil {
		options.Running = newest.snapshot
	}
	file, snapshot, err := Load(ctx, r.path, options)
	o := admin.Outcome{Trigger: trigger, Warnings: texts(snapshot.Warnings)}
	if err == nil {
		err = r.apply(ctx, &o, file, snapshot)
	}
	r.conclude(&o, err)
	if newest := r.shared.generations.newest(); newest != nil && !newest.config.Reload.Watch {
		return o, nil, err
	}
	return o, snapshot, err
}

// apply makes what the file says, with the identities of now, the newest
// generation where it differs from that one. An error changes nothing.
func (r *reloader) apply(ctx context.Context, o *admin.Outcome, file *Config, snapshot *config.Snapshot) error {
	cfg, err := file.withIdentities(ctx, r.shared.spiffe)
	if err != nil {
		return err
	}
	old := r.shared.generations.newest()
	var before *Config
	if old != nil {
		before = old.config
	}
	plan := Diff(before, cfg)
	if old != nil && plan.Empty() {
		// What is equal today may not be after a rotation: a file with the CA
		// that the agent has, too.
		old.file, o.Result = file, admin.Unchanged
		return nil
	}
	p, err := prepare(ctx, r.shared, plan, cfg, snapshot, old)
	if err != nil {
		return err
	}
	p.gen.file = file
	o.Warnings = append(o.Warnings, p.warnings...)
	o.Summary, o.Plan, o.Result = p.commit(), p.plan.Details(), admin.Applied
	return nil
}

// conclude completes an outcome and reports it.
func (r *reloader) conclude(o *admin.Outcome, err error) {
	if err != nil {
		o.Result, o.Errors = admin.Rejected, errorLines(err)
	}
	o.Time = time.Now()
	if newest := r.shared.generations.newest(); newest != nil {
		o.Generation = newest.number
		// Also after a rejection: what was begun for it has no use any more.
		r.shared.spiffe.Keep(newest.config.spiffeSockets())
		r.rotateLater(o, newest)
	}
	// A rotation is no answer to a file that was rejected: that is shown until the file
	// is mended.
	if last := r.last.Load(); o.Trigger != rotation || last == nil || last.Trigger == rotation || last.Result != admin.Rejected {
		shown := *o
		r.shared.observer.Reloaded(shown)
		r.last.Store(&shown)
	}
	r.shared.observer.LogReload(*o)
}

func errorLines(err error) []string {
	var all config.Errors
	if errors.As(err, &all) {
		return texts(all)
	}
	return strings.Split(err.Error(), "\n") // of errors.Join, one a line
}

func texts[E error](errs []E) (lines []string) {
	for _, e := range errs {
		lines = append(lines, e.Error())
	}
	return lines
}
