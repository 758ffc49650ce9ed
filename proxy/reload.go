package proxy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mcpgateway/mcpgateway/proxy/admin"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/proxy/filewatch"
)

// Reload asks for a reload and waits for the outcome of one that began after
// the call.
func (g *Gateway) Reload(ctx context.Context) (admin.Outcome, error) {
	// Buffered: the reload goes on, and answers, when the caller has left.
	outcome := make(chan admin.Outcome, 1)
	select {
	case g.reloads <- outcome:
	case <-g.stopping:
		return admin.Outcome{}, errors.New("the gateway is shutting down")
	case <-ctx.Done():
		return admin.Outcome{}, ctx.Err()
	}
	select {
	case o := <-outcome:
		return o, nil
	case <-ctx.Done():
		return admin.Outcome{}, ctx.Err()
	}
}

// pending takes every request that waits right now.
func (g *Gateway) pending() []chan<- admin.Outcome {
	var waiting []chan<- admin.Outcome
	for {
		select {
		case r := <-g.reloads:
			waiting = append(waiting, r)
		default:
			return waiting
		}
	}
}

// reload is apply with the service manager told about it, in the order that
// Type=notify-reload asks for (systemd.service(5), sd_notify(3)).
func (g *Gateway) reload(ctx context.Context, trigger string, w *filewatch.Watcher) admin.Outcome {
	g.options.Notify(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", monotonicMicroseconds()))
	outcome, snapshot, _ := g.apply(ctx, trigger)
	w.Watch(watchSet(snapshot))
	g.notifyReady(outcome)
	return outcome
}

// maxStatus bounds STATUS, in bytes: systemd ignores a message of more than
// 4096, and would wait for READY=1 for ever.
const maxStatus = 1024

func (g *Gateway) notifyReady(o admin.Outcome) { g.options.Notify("READY=1\n" + statusOf(o)) }

func statusOf(o admin.Outcome) string {
	status := strings.ReplaceAll(o.Line(), "\n", " ") // a line is a statement
	if len(status) > maxStatus {
		status = strings.ToValidUTF8(status[:maxStatus], "") + "…"
	}
	return "STATUS=" + status
}

// monotonicMicroseconds reads the clock that systemd compares with; Go's own
// monotonic clock has another origin.
func monotonicMicroseconds() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0
	}
	return ts.Nano() / int64(time.Microsecond)
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

// apply loads the file and, where it differs, makes it the current
// generation. It returns the snapshot whose files are to be watched, whatever
// the outcome; nil where reload.watch is off. The error says why the outcome is a
// rejection, and is reported already.
func (g *Gateway) apply(ctx context.Context, trigger string) (admin.Outcome, *config.Snapshot, error) {
	var running *config.Snapshot
	if cur := g.current.Load(); cur != nil {
		running = cur.snapshot
	}
	file, snapshot, err := Load(ctx, g.options.Path, config.Options{Env: g.options.Env, Running: running, Disk: g.disk, Open: g.open})
	o := admin.Outcome{Trigger: trigger, Warnings: warnings(snapshot)}
	if err == nil {
		err = g.put(ctx, &o, file, snapshot)
	}
	g.conclude(&o, err)
	if cur := g.current.Load(); cur != nil && !cur.config.Reload.Watch {
		return o, nil, err
	}
	return o, snapshot, err
}

// put makes what the file says, with the identities of now, the current
// generation where it differs from that one. An error changes nothing.
func (g *Gateway) put(ctx context.Context, o *admin.Outcome, file *Config, snapshot *config.Snapshot) error {
	cfg, err := file.withIdentities(ctx, g.spiffe)
	if err != nil {
		return err
	}
	old := g.current.Load()
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
	p, err := g.prepare(ctx, plan, cfg, snapshot, old)
	if err != nil {
		return err
	}
	p.gen.file = file
	o.Warnings = append(o.Warnings, p.warnings...)
	o.Summary, o.Plan, o.Result = g.commit(p), p.plan.Details(), admin.Applied
	return nil
}

// conclude completes an outcome and reports it.
func (g *Gateway) conclude(o *admin.Outcome, err error) {
	if err != nil {
		o.Result, o.Errors = admin.Rejected, errorLines(err)
	}
	o.Time = time.Now()
	if cur := g.current.Load(); cur != nil {
		o.Generation = cur.number
		// Also after a rejection: what was begun for it has no use any more.
		g.spiffe.Keep(cur.config.spiffeSockets())
		g.rotateLater(o, cur)
	}
	g.report(*o)
}

func warnings(s *config.Snapshot) []string {
	var lines []string
	for _, w := range s.Warnings {
		lines = append(lines, w.Error())
	}
	return lines
}

// report logs, counts and keeps an outcome.
func (g *Gateway) report(o admin.Outcome) {
	g.mu.Lock()
	last := g.lastReload
	// A rotation is no answer to a file that was rejected: that is told until
	// the file is mended.
	if o.Trigger != rotation || last == nil || last.Trigger == rotation || last.Result != admin.Rejected {
		g.lastReload = &o
		g.observer.Reloaded(o)
	}
	g.mu.Unlock()
	g.observer.LogReload(o)
}

func errorLines(err error) []string {
	var all config.Errors
	if errors.As(err, &all) {
		lines := make([]string, len(all))
		for i, e := range all {
			lines[i] = e.Error()
		}
		return lines
	}
	return strings.Split(err.Error(), "\n") // of errors.Join, one a line
}
