package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

type options struct {
	gateway     string
	before      string
	nginx       string
	envoy       string
	rounds      int
	requests    int
	concurrency int
	clients     int
	timeout     time.Duration
}

func main() {
	var opts options
	flag.StringVar(&opts.gateway, "gateway", "bin/mcpgateway", "the gateway's binary")
	flag.StringVar(&opts.before, "before", "", "another binary of the gateway, to compare with; a second process of the first shows the noise")
	flag.StringVar(&opts.nginx, "nginx", findNginx(), "nginx's binary")
	flag.StringVar(&opts.envoy, "envoy", ".cache/bench/envoy", "Envoy's binary; it is left out where there is none")
	flag.IntVar(&opts.rounds, "rounds", 9, "how often each case is measured")
	flag.IntVar(&opts.requests, "requests", 4000, "requests of one measurement")
	flag.IntVar(&opts.concurrency, "concurrency", 16, "requests in flight, each on a connection and in an MCP session of its own")
	flag.IntVar(&opts.clients, "clients", 500, "idle clients, by which memory is measured; 0: it is not")
	flag.DurationVar(&opts.timeout, "timeout", 20*time.Minute, "end of the whole run")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, opts.timeout)
	defer cancel()
	if err := run(ctx, opts); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, opts options) error {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	pki, err := newPKI(dir)
	if err != nil {
		return fmt.Errorf("making certificates: %w", err)
	}
	bed, err := newTestbed(ctx, opts, dir, pki)
	if err != nil {
		return err
	}
	defer bed.stop()

	loads := bed.loads()
	for _, l := range loads {
		for _, c := range l.cases {
			if _, err := bed.measure(ctx, c, opts, opts.requests/4); err != nil {
				return fmt.Errorf("warming up %s, %s: %w", l.name, c.name, err)
			}
		}
	}
	for round := range opts.rounds {
		for _, l := range loads {
			for i := range l.cases {
				c := l.cases[(i+round)%len(l.cases)]
				s, err := bed.measure(ctx, c, opts, opts.requests)
				if err != nil {
					return fmt.Errorf("measuring %s, %s: %w", l.name, c.name, err)
				}
				c.samples = append(c.samples, s)
			}
		}
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, opts.rounds)
	}
	footprints, err := bed.footprints(ctx, opts.clients)
	if err != nil {
		err = fmt.Errorf("measuring memory: %w", err) // what was measured before is reported all the same
	}
	return errors.Join(err, report(os.Stdout, opts, bed.missing, loads, footprints))
}
