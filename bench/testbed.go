package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// clusters is how many upstream addresses there are, and so how many clusters
// the largest federation has.
const clusters = 3

// load is one kind of request, sent over several paths.
type load struct {
	name  string
	cases []*testCase
}

// testCase is one path from the load generator to the upstream.
type testCase struct {
	name     string
	proxy    *process  // nil: straight to the upstream
	baseline bool      // what the others are compared to
	before   *testCase // the same through the binary before; nil where there is none
	newLoad  func(worker int) requester
	samples  []sample
}

type testbed struct {
	pki       *pki
	upstream  *process
	addresses []string
	nginx     *process
	nginxAt   string
	gateways  []*gateway
}

// gateway is a running gateway.
type gateway struct {
	name           string
	process        *process
	plainAt, mcpAt string
}

func newTestbed(ctx context.Context, opts options, dir string, p *pki) (_ *testbed, err error) {
	bed := &testbed{pki: p}
	defer func() {
		if err != nil {
			bed.stop()
		}
	}()
	if bed.upstream, bed.addresses, err = startUpstream(ctx, dir, p); err != nil {
		return nil, fmt.Errorf("starting the upstream: %w", err)
	}
	if bed.nginxAt, err = freeAddress(ctx); err != nil {
		return nil, err
	}
	if bed.nginx, err = startNginx(ctx, opts.nginx, dir, p, bed.nginxAt, bed.addresses[0]); err != nil {
		return nil, fmt.Errorf("starting nginx: %w", err)
	}
	binaries := []struct{ name, path string }{{"mcpgateway", opts.gateway}}
	if opts.before != "" {
		// The second process of the same binary shows the noise.
		binaries = append(binaries, struct{ name, path string }{before, opts.before}, struct{ name, path string }{"mcpgateway again", opts.gateway})
	}
	for _, b := range binaries {
		g := &gateway{name: b.name}
		if err := g.start(ctx, b.path, dir, p, bed.addresses); err != nil {
			return nil, fmt.Errorf("starting %s: %w", b.path, err)
		}
		bed.gateways = append(bed.gateways, g)
	}
	targets := map[string]*process{bed.addresses[0]: bed.upstream, bed.nginxAt: bed.nginx}
	for _, g := range bed.gateways {
		targets[g.plainAt] = g.process
	}
	for at, process := range targets {
		if err := p.waitFor(ctx, "https://"+at+"/json"); err != nil {
			return nil, fmt.Errorf("waiting for %s: %w", at, errors.Join(err, process.err()))
		}
	}
	return bed, nil
}

// before is how the gateway of the binary before is called.
const before = "mcpgateway before"

func (b *testbed) stop() {
	processes := []*process{b.nginx, b.upstream}
	for _, g := range b.gateways {
		processes = append(processes, g.process)
	}
	for _, p := range processes {
		if p != nil {
			p.stop()
		}
	}
}

// loads are the two kinds of load: the same JSON document over plain HTTP, and
// the same tool call over MCP. A plain proxy serves both.
func (b *testbed) loads() []*load {
	get := func(at string) func(int) requester {
		return func(int) requester { return &getter{client: b.pki.client(), url: "https://" + at + "/json"} }
	}
	call := func(at, path string, tools ...string) func(int) requester {
		return func(int) requester {
			return &caller{client: b.pki.client(), url: "https://" + at + path, tools: tools}
		}
	}
	gets := &load{name: "GET /json", cases: []*testCase{
		{name: "upstream alone", newLoad: get(b.addresses[0])},
		{name: "nginx", proxy: b.nginx, baseline: true, newLoad: get(b.nginxAt)},
	}}
	calls := &load{name: "MCP tools/call", cases: []*testCase{
		{name: "upstream alone", newLoad: call(b.addresses[0], "/mcp", "echo")},
		{name: "nginx", proxy: b.nginx, baseline: true, newLoad: call(b.nginxAt, "/mcp", "echo")},
	}}
	for _, g := range b.gateways {
		gets.cases = append(gets.cases, &testCase{name: g.name + ", plain proxy", proxy: g.process, newLoad: get(g.plainAt)})
		calls.cases = append(calls.cases,
			&testCase{name: g.name + ", plain proxy", proxy: g.process, newLoad: call(g.plainAt, "/mcp", "echo")},
			&testCase{name: g.name + ", MCP, 1 cluster", proxy: g.process, newLoad: call(g.mcpAt, "/one", "echo")},
			&testCase{name: g.name + ", MCP, 3 clusters", proxy: g.process, newLoad: call(g.mcpAt, "/three", "c0__echo", "c1__echo", "c2__echo")},
		)
	}
	loads := []*load{gets, calls}
	for _, l := range loads {
		l.pair()
	}
	return loads
}

// pair compares the same path through another gateway with that through the one
// before.
func (l *load) pair() {
	path := func(c *testCase) string { _, path, _ := strings.Cut(c.name, ", "); return path }
	for _, c := range l.cases {
		for _, other := range l.cases {
			if path(c) != "" && path(c) == path(other) && strings.HasPrefix(other.name, before) && c != other {
				c.before = other
			}
		}
	}
}

// sample is one measurement of a case.
type sample struct {
	proxyCPU    time.Duration // per request
	upstreamCPU time.Duration // per request
	p50, p99    time.Duration
	rate        float64 // requests per second
}

// measure sends requests requests, and fails with the first of them that does
// not get its right answer.
func (b *testbed) measure(ctx context.Context, c *testCase, opts options, requests int) (sample, error) {
	workers := make([]requester, opts.concurrency)
	for i := range workers {
		workers[i] = c.newLoad(i)
		defer workers[i].close(ctx)
		if err := workers[i].open(ctx); err != nil {
			return sample{}, err
		}
	}
	before, err := b.cpu(c)
	if err != nil {
		return sample{}, err
	}
	start := time.Now()
	latencies, err := generate(ctx, workers, requests)
	if err != nil {
		return sample{}, err
	}
	elapsed := time.Since(start)
	after, err := b.cpu(c)
	if err != nil {
		return sample{}, err
	}
	n := time.Duration(len(latencies))
	return sample{
		proxyCPU:    (after[0] - before[0]) / n,
		upstreamCPU: (after[1] - before[1]) / n,
		p50:         quantile(latencies, 0.50),
		p99:         quantile(latencies, 0.99),
		rate:        float64(n) / elapsed.Seconds(),
	}, nil
}

// cpu is the CPU time so far, of the proxy and of the upstream.
func (b *testbed) cpu(c *testCase) (spent [2]time.Duration, err error) {
	if c.proxy != nil {
		if spent[0], err = c.proxy.cpu(); err != nil {
			return spent, err
		}
	}
	spent[1], err = b.upstream.cpu()
	return spent, err
}
