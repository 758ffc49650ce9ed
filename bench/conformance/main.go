package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

type options struct {
	gateway string
	tools   string
	only    string
	repeat  int
	soak    time.Duration
	parts   string
	verbose bool
	timeout time.Duration
}

func main() {
	if os.Getenv(asClient) != "" {
		os.Exit(runClient(os.Args[len(os.Args)-1]))
	}
	var opts options
	flag.StringVar(&opts.gateway, "gateway", "bin/mcpgateway", "the gateway's binary")
	flag.StringVar(&opts.tools, "tools", ".cache/conformance", "where the suite, servers and clients are installed")
	flag.StringVar(&opts.only, "only", "", "run only the legs of the suite, and the servers of the zoo, whose name holds this")
	flag.IntVar(&opts.repeat, "repeat", 1, "how often everything is run")
	flag.DurationVar(&opts.soak, "soak", 0, "instead: ten clients for this long, while the file changes and servers are killed")
	flag.StringVar(&opts.parts, "parts", "suite,zoo", "what is run: the suite with its clients, the zoo, or both at the same time")
	flag.BoolVar(&opts.verbose, "v", false, "of the zoo: say too what went wrong on the direct way, and what the gateway logged")
	flag.DurationVar(&opts.timeout, "timeout", time.Hour, "end of the whole run")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, opts.timeout)
	defer cancel()
	lost, err := run(ctx, opts)
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(2)
	}
	if lost > 0 {
		fmt.Fprintf(os.Stderr, "conformance: %d lost on the way through the gateway\n", lost)
		os.Exit(1)
	}
}

// run returns how many results were lost on the way through the gateway.
func run(ctx context.Context, opts options) (int, error) {
	for _, path := range []*string{&opts.gateway, &opts.tools} {
		abs, err := filepath.Abs(*path)
		if err != nil {
			return 0, err
		}
		*path = abs
	}
	dir, err := os.MkdirTemp("", "conformance-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if opts.soak > 0 {
		return soak(ctx, opts, dir)
	}
	// Both wait most of the time, so they run at once. The report of the zoo comes
	// last.
	var both sync.WaitGroup
	lost, failed := map[string]int{}, map[string]error{}
	var mu sync.Mutex
	var report bytes.Buffer
	for part, do := range map[string]func(string) (int, error){
		"suite": func(dir string) (int, error) { return runSuite(ctx, opts, dir) },
		"zoo":   func(dir string) (int, error) { return zoo(ctx, opts, dir, &report) },
	} {
		if !slices.Contains(strings.Split(opts.parts, ","), part) {
			continue
		}
		own := filepath.Join(dir, part)
		if err := os.Mkdir(own, 0o700); err != nil {
			return 0, err
		}
		both.Go(func() {
			n, err := do(own)
			mu.Lock()
			defer mu.Unlock()
			lost[part], failed[part] = n, err
		})
	}
	both.Wait()
	_, _ = report.WriteTo(os.Stdout)
	return lost["suite"] + lost["zoo"], errors.Join(failed["suite"], failed["zoo"])
}

// runSuite runs the official suite and the real clients.
func runSuite(ctx context.Context, opts options, dir string) (int, error) {
	bed, err := newTestbed(ctx, opts, dir)
	if err != nil {
		return 0, err
	}
	defer bed.stop()

	lost := 0
	for n := range opts.repeat {
		if opts.repeat > 1 {
			fmt.Printf("\nrun %d of %d\n", n+1, opts.repeat)
		}
		for _, leg := range bed.legs() {
			if !strings.Contains(leg.name, opts.only) {
				continue
			}
			if err := ctx.Err(); err != nil {
				return lost, err
			}
			results, err := leg.run(ctx)
			if err != nil {
				return lost, fmt.Errorf("%s: %w", leg.name, err)
			}
			lost += report(os.Stdout, leg.name, results)
		}
	}
	return lost, nil
}
