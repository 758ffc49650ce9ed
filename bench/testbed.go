package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
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
	proxy    *process // nil: straight to the upstream
	baseline bool     // what the others are compared to
	newLoad  func(worker int) requester
	samples  []sample
}

type testbed struct {
	pki       *pki
	upstream  *process
	addresses []string
	nginx     *process
	nginxAt   string
	gateway   *process
	plainAt   string
	mcpAt     string
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
	if bed.plainAt, err = freeAddress(ctx); err != nil {
		return nil, err
	}
	if bed.mcpAt, err = freeAddress(ctx); err != nil {
		return nil, err
	}
	binary, err := filepath.Abs(opts.gateway)
	if err != nil {
		return nil, err
	}
	if bed.gateway, err = startGateway(ctx, binary, dir, p, bed.plainAt, bed.mcpAt, bed.addresses); err != nil {
		return nil, fmt.Errorf("starting the gateway: %w", err)
	}
	for _, at := range []string{bed.addresses[0], bed.nginxAt, bed.plainAt} {
		if err := p.waitFor(ctx, "https://"+at+"/json"); err != nil {
			return nil, fmt.Errorf("waiting for %s: %w", at, errors.Join(err, bed.nginx.err(), bed.gateway.err()))
		}
	}
	return bed, nil
}

func (b *testbed) stop() {
	for _, p := range []*process{b.gateway, b.nginx, b.upstream} {
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
	return []*load{
		{name: "GET /json", cases: []*testCase{
			{name: "upstream alone", newLoad: get(b.addresses[0])},
			{name: "nginx", proxy: b.nginx, baseline: true, newLoad: get(b.nginxAt)},
			{name: "mcpgateway, plain proxy", proxy: b.gateway, newLoad: get(b.plainAt)},
		}},
		{name: "MCP tools/call", cases: []*testCase{
			{name: "upstream alone", newLoad: call(b.addresses[0], "/mcp", "echo")},
			{name: "nginx", proxy: b.nginx, baseline: true, newLoad: call(b.nginxAt, "/mcp", "echo")},
			{name: "mcpgateway, plain proxy", proxy: b.gateway, newLoad: call(b.plainAt, "/mcp", "echo")},
			{name: "mcpgateway, MCP, 1 cluster", proxy: b.gateway, newLoad: call(b.mcpAt, "/one", "echo")},
			{name: "mcpgateway, MCP, 3 clusters", proxy: b.gateway, newLoad: call(b.mcpAt, "/three", "c0__echo", "c1__echo", "c2__echo")},
		}},
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
