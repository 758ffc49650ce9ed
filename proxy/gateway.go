package proxy

import (
	"context"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/descriptors"
	"github.com/mcpgateway/mcpgateway/internal/disk"
	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/listeners"
	"github.com/mcpgateway/mcpgateway/proxy/admin"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/proxy/filewatch"
	"github.com/mcpgateway/mcpgateway/proxy/mcp"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
	"github.com/mcpgateway/mcpgateway/proxy/observe"
	"github.com/mcpgateway/mcpgateway/tls/acme"
	"github.com/mcpgateway/mcpgateway/tls/spiffe"
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

// Gateway is the running process: what outlives its generations, and the
// pointer to the current one.
type Gateway struct {
	options  Options
	started  time.Time
	observer *observe.Observer
	sockets  *listeners.Sockets
	hub      *mcp.Hub
	// budget bounds the memory that peers can make the process keep.
	budget *memory.Budget
	// disk bounds what is waited for the files of the configuration.
	disk *disk.Disk
	open func(path string) (*os.File, error) // nil: as config.Load does
	// reserve is what clients leave of the descriptors.
	reserve *descriptors.Reserve
	// acme keeps the certificates that are not from files; nil where the file is
	// only checked.
	acme *acme.Manager
	// spiffe are the Workload APIs; identities has a value when one of them
	// delivered something new.
	spiffe     *spiffe.Sources
	identities chan struct{}
	prober     *upstream.Prober

	metricsServed http.Handler

	current atomic.Pointer[Generation]
	ready   atomic.Bool
	// reloads carries those who wait for the outcome of a reload.
	reloads chan chan<- admin.Outcome
	// stopping is closed when no reload begins any more.
	stopping chan struct{}
	// told is when the process was told to stop; nil before.
	told atomic.Pointer[time.Time]
	// work counts generations that are not released, and those who wait for
	// drains.
	work sync.WaitGroup

	// mu guards what Status reads of reloads.
	mu         sync.Mutex
	draining   []*Generation
	lastReload *admin.Outcome

	// The rest belongs to the goroutine that runs reloads.
	admin   *admin.Server
	numbers uint64
	// again receives when it is time to look for a rotation once more; nil is never.
	again            <-chan time.Time
	rotateAgainAfter time.Duration
	tellWaitAfter    time.Duration
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
	observer := observe.New(o.Stderr, o.Version)
	g := &Gateway{
		disk:     disk.New(context.Background(), disk.Timeout),
		options:  o,
		started:  time.Now(),
		observer: observer,
		reloads:  make(chan chan<- admin.Outcome),
		stopping: make(chan struct{}),

		rotateAgainAfter: rotateAgainAfter,
		tellWaitAfter:    tellWaitAfter,
	}
	g.budget = memory.New(observer.Memory)
	g.reserve = descriptors.System()
	g.sockets = listeners.NewSockets(observer.Listeners)
	g.sockets.KeepFree(g.reserve)
	transports := &upstream.Transports{OnMoved: observer.Moved}
	g.hub = mcp.NewHub(mcp.Options{Name: "mcpgateway", Version: o.Version, Transports: transports, Memory: g.budget, Trace: observer.MCP})
	g.prober = upstream.NewProber(transports)
	g.prober.Version, g.prober.Memory = o.Version, g.budget
	g.prober.OnIgnored = func(cluster, endpoint string, err error, report bool) {
		observer.MCP.Ignored("", cluster, endpoint, err, report)
	}
	g.acme = acme.NewManager(observer.Logs.Logger, observer.ACME)
	g.identities = make(chan struct{}, 1)
	g.spiffe = spiffe.NewSources(func() {
		select {
		case g.identities <- struct{}{}:
		default: // a reload that has not begun will see this, too
		}
	}, observer.SPIFFE)
	g.metricsServed = observer.MetricsPage(g)
	return g
}

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
	g.budget.Watch()
	defer g.budget.Close()
	defer context.AfterFunc(ctx, g.boundEnd)()
	err = g.serve(ctx, hup, reopen, watcher)
	g.spiffe.Close()
	defer g.acme.Close()
	close(g.stopping)
	g.shutdown(kill)
	return err
}

// watchSet are the files of a snapshot, which may be nil.
func watchSet(s *config.Snapshot) filewatch.Set {
	if s == nil {
		return filewatch.Set{}
	}
	return filewatch.Set{Paths: s.Files, Moved: func() bool { return s.Moved() != "" }, Hung: s.Hung}
}

// serve applies the first generation, and then what is asked for until ctx
// ends.
func (g *Gateway) serve(ctx context.Context, hup, reopen <-chan os.Signal, w *filewatch.Watcher) error {
	outcome, snapshot, err := g.apply(ctx, "start")
	if outcome.Result != admin.Applied {
		if isClosed(ctx.Done()) {
			return nil // told to stop before it began
		}
		return &startError{err}
	}
	g.notifyReady(outcome)
	w.Watch(watchSet(snapshot))
	said := expiries{}
	look := time.NewTimer(g.warnExpiries(said))
	defer look.Stop()
	after := func(outcome admin.Outcome) admin.Outcome {
		if outcome.Result == admin.Applied {
			// What it brought in may have but a day left.
			look.Reset(g.warnExpiries(said))
		}
		return outcome
	}
	for {
		select {
		case <-look.C:
			look.Reset(g.warnExpiries(said))
		case <-ctx.Done():
			return nil
		case <-reopen:
			if err := g.observer.Logs.Reopen(); err != nil {
				g.observer.Logs.Logger().Error().Err(err).Msg("the log file could not be reopened; the old one stays in use")
			}
		case <-hup:
			after(g.reload(ctx, "signal", w))
		case <-w.Changed():
			after(g.reload(ctx, "file change", w))
		case <-g.identities:
			after(g.rotate(ctx))
		case <-g.again:
			after(g.rotate(ctx))
		case first := <-g.reloads:
			// All that wait by now began before this reload: one serves them.
			waiting := append([]chan<- admin.Outcome{first}, g.pending()...)
			outcome := after(g.reload(ctx, "admin", w))
			for _, waiter := range waiting {
				waiter <- outcome
			}
		}
	}
}

// startError is why the first generation could not be applied. Its text does not
// repeat the reasons, which are in the log.
type startError struct{ err error }

func (e *startError) Error() string { return "the configuration was not applied; nothing is served" }
func (e *startError) Unwrap() error { return e.err }
