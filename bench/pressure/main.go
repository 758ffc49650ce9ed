package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	var o options
	flag.StringVar(&o.binary, "gateway", "bin/mcpgateway", "the binary")
	flag.DurationVar(&o.time, "time", 5*time.Minute, "how long each attack takes")
	flag.IntVar(&o.limit, "limit", 512, "what the process may take of the machine's memory, in MiB")
	flag.DurationVar(&o.patience, "patience", time.Second, "how long /health may take")
	only := flag.String("only", "", "attacks to run, separated by commas; default: all")
	name := flag.String("attack", "", "")
	flag.Usage = usage
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if *name != "" {
		err = attacker(ctx, *name)
	} else {
		err = run(ctx, o, *only)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pressure:", err)
		os.Exit(1)
	}
}

// usage leaves out the flag by which the program starts itself.
func usage() {
	flag.VisitAll(func(f *flag.Flag) {
		if f.Usage != "" {
			fmt.Fprintf(flag.CommandLine.Output(), "  -%s\t%s (default %q)\n", f.Name, f.Usage, f.DefValue)
		}
	})
}

type options struct {
	binary   string
	time     time.Duration
	limit    int // in MiB
	patience time.Duration
}

// run runs the attacks, each on a gateway of its own, and prints a table.
func run(ctx context.Context, o options, only string) error {
	fmt.Printf("%d MiB, %v each\n\n", o.limit, o.time)
	fmt.Println("| attack | resident, at most | health answered | longest | calls answered | told to wait | longest | attacks taken | refused | resident after |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|---|")
	var failures []error
	for _, a := range attacks {
		if only != "" && !slices.Contains(strings.Split(only, ","), a.name) {
			continue
		}
		if err := o.attack(ctx, a); err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", a.name, err))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return errors.Join(failures...)
}

// attack runs one.
func (o options) attack(ctx context.Context, a attack) error {
	dir, err := os.MkdirTemp("", "pressure")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary, err := filepath.Abs(o.binary)
	if err != nil {
		return err
	}
	upstream, stopUpstream, err := serve()
	if err != nil {
		return err
	}
	defer stopUpstream()
	attackProcess, err := startAttacker(ctx, a.name)
	if err != nil {
		return err
	}
	defer attackProcess.stop()
	g, err := start(binary, dir, upstream, attackProcess.upstream, o.limit)
	if err != nil {
		return err
	}
	defer g.stop()
	if err := attackProcess.attack(g.address, filepath.Join(dir, "server.crt")); err != nil {
		return err
	}
	before := g.resident()
	h := g.watch(ctx, o.time, o.patience)
	t, err := attackProcess.end()
	if err != nil {
		h.fail(err)
	}
	after, took := g.recover(before+o.limit/10<<20, time.Minute)
	fmt.Printf("| %s | %d MiB | %d | %d ms | %d | %d | %d ms | %d | %d | %d MiB in %.1f s |\n", a.name, h.resident>>20,
		h.health.answered, h.health.longest.Milliseconds(), h.calls.answered, h.calls.deferred, h.calls.longest.Milliseconds(), t.Taken, t.Refused, after>>20, took.Seconds())
	if took > time.Minute {
		h.fail(fmt.Errorf("%d MiB are resident a minute after, and %d were before", after>>20, before>>20))
	}
	if h.resident > o.limit<<20 {
		h.fail(fmt.Errorf("%d MiB are resident", h.resident>>20))
	}
	if h.calls.answered == 0 {
		h.fail(errors.New("no call was answered"))
	}
	if h.failed != nil {
		return fmt.Errorf("%w (%d failures)\n%s", h.failed, h.failures, g.tail())
	}
	return nil
}
