package proxy

import (
	"context"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/disk"
	"github.com/mcpgateway/mcpgateway/proxy/admin"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/proxy/filewatch"
	"github.com/mcpgateway/mcpgateway/proxy/observe"
)

// Options are what a Gateway is started with.
type Options struct {
	// Path is the YAML file.
	Path string
	// Version is shown to operators and in serverInfo.
	Version string
	// Env looks up environment variables; nil is os.LookupEnv.
	Env func(string) (string, bool)
	// Stderr is where logs go unless log.file says otherwise; nil is os.Stderr.
	Stderr io.Writer
	// Notify tells the service manager about the process's state (sd_notify);
	// nil: the service manager is not told.
	Notify func(state string)
	// Abort ends the process. It is called where the end takes longer than
	// shutdown.timeout allows; nil lets it take longer.
	Abort func()
	// SetMemoryLimit is debug.SetMemoryLimit; nil leaves the limit of the runtime
	// as it is.
	SetMemoryLimit func(bytes int64) (before int64)
}

// Gateway is the running process. Its methods but Run may be called at any time, by
// several goroutines.
type Gateway struct {
	options  Options
	started  time.Time
	observer *observe.Observer
	metrics  http.Handler // of GET /metrics
	shared   *shared
	reloader *reloader
	requests reloadRequests
	// rotated has a value when a Workload API has delivered something new.
	rotated  chan struct{}
	shutdown *shutdown
}

// New prepares a gateway that serves nothing yet.
func New(o Options) *Gateway {
	if o.Env == nil {
		o.Env = os.LookupEnv
	}
	if o.Stderr == nil {
		o.Stderr = os.Stderr
	}
	if o.Notify == nil {
		o.Notify = func(string) {}
	}
	if o.Abort == nil {
		o.Abort = func() {}
	}
	if o.SetMemoryLimit == nil {
		o.SetMemoryLimit = func(int64) int64 { return 0 }
	}
	g := &Gateway{
		options:  o,
		started:  time.Now(),
		observer: observe.New(o.Stderr, o.Version),
		requests: newReloadRequests(),
		rotated:  make(chan struct{}, 1),
	}
	g.shared = newShared(o, g.observer, func() {
		select {
		case g.rotated <- struct{}{}:
		default: // a reload that has not begun will see this, too
		}
	})
	g.metrics = g.observer.MetricsPage(g)
	g.shared.listenAdmin = func(c admin.Config) (*admin.Server, error) { return admin.Listen(c, g, g.metrics) }
	g.reloader = &reloader{
		shared: g.shared, notify: o.Notify, path: o.Path, rotateAgainAfter: rotateAgainAfter,
		// The disk bounds what is waited for the files.
		load: config.Options{Env: o.Env, Disk: disk.New(context.Background(), disk.Timeout)},
	}
	g.shutdown = &shutdown{shared: g.shared, notify: o.Notify, abort: o.Abort}
	return g
}

// Reload asks for a reload and waits for the outcome of one that began after
// the call.
func (g *Gateway) Reload(ctx context.Context) (admin.Outcome, error) { return g.requests.ask(ctx) }

// StandardLog takes what the standard library writes with package log.
func (g *Gateway) StandardLog() io.Writer { return g.observer.Logs.StandardWriter() }

// Run serves until ctx ends, then drains and returns. Each value from hup
// asks for a reload; one from reopen opens the log file anew. kill ends the
// drain at once. An error means that the first generation could not be
// applied: nothing was served. It wraps config.Errors where the file is at fault.
// Run may be called once.
func (g *Gateway) Run(ctx context.Context, hup, reopen, kill <-chan os.Signal) error {
	watcher, err := filewatch.New(func(err error) {
		g.observer.Logs.ReloadLogger().Warn().Err(err).Msg("the kernel does not watch every path; changes of the others are found by the poll")
	})
	if err != nil {
		g.observer.Logs.Logger().Warn().Err(err).Stringer("every", filewatch.PollEvery).Msg("the kernel does not watch files; changes of them are found by the poll")
	}
	defer watcher.Close()
	defer g.observer.Logs.Close()
	g.shared.budget.Watch()
	defer g.shared.budget.Close()
	defer context.AfterFunc(ctx, g.shutdown.request)()
	g.reloader.watcher = watcher
	err = g.serve(ctx, hup, reopen)
	g.shared.spiffe.Close()
	defer g.shared.acme.Close()
	close(g.requests.closed)
	g.shutdown.run(kill)
	return err
}

// serve applies the first generation, and then what is asked for until ctx
// ends.
func (g *Gateway) serve(ctx context.Context, hup, reopen <-chan os.Signal) error {
	r := g.reloader
	if err := r.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // told to stop before it began
		}
		return &startError{err}
	}
	reported := expiries{}
	expiryTimer := time.NewTimer(g.shared.warnExpiries(reported))
	defer expiryTimer.Stop()
	after := func(outcome admin.Outcome) admin.Outcome {
		if outcome.Result == admin.Applied {
			// What it brought in may have but a day left.
			expiryTimer.Reset(g.shared.warnExpiries(reported))
		}
		return outcome
	}
	for {
		select {
		case <-expiryTimer.C:
			expiryTimer.Reset(g.shared.warnExpiries(reported))
		case <-ctx.Done():
			return nil
		case <-reopen:
			if err := g.observer.Logs.Reopen(); err != nil {
				g.observer.Logs.Logger().Error().Err(err).Msg("the log file could not be reopened; the old one stays in use")
			}
		case <-hup:
			after(r.reload(ctx, "signal"))
		case <-r.watcher.Changed():
			after(r.reload(ctx, "file change"))
		case <-g.rotated:
			after(r.rotate(ctx))
		case <-r.again:
			after(r.rotate(ctx))
		case first := <-g.requests.waiting:
			g.requests.answer(first, func() admin.Outcome { return after(r.reload(ctx, "admin")) })
		}
	}
}

// startError is why the first generation could not be applied. Its text does not
// repeat the reasons, which are in the log.
type startError struct{ err error }

func (e *startError) Error() string { return "the configuration was not applied; nothing is served" }
func (e *startError) Unwrap() error { return e.err }
