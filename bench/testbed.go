package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
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
	proxies   []*proxy
	missing   []string // proxies that are not installed
}

// proxy is a proxy under measurement.
type proxy struct {
	name    string
	at      string // as a plain proxy
	mcpAt   string // as an MCP gateway; empty: it is none
	command func(ctx context.Context) (*exec.Cmd, error)
	process *process
}

// start starts it, and waits until it serves.
func (p *proxy) start(ctx context.Context, pki *pki) error {
	cmd, err := p.command(ctx)
	if err != nil {
		return fmt.Errorf("preparing %s: %w", p.name, err)
	}
	if p.process, err = start(cmd); err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	if err := pki.waitFor(ctx, "https://"+p.at+"/json"); err != nil {
		return fmt.Errorf("waiting for %s: %w", p.name, errors.Join(err, p.process.err()))
	}
	return nil
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
	if err := p.waitFor(ctx, "https://"+bed.addresses[0]+"/json"); err != nil {
		return nil, errors.Join(err, bed.upstream.err())
	}
	files := &files{dir: dir, pki: p, upstreams: bed.addresses}
	bed.proxies = []*proxy{files.nginx(opts.nginx), files.floor(), files.gateway("mcpgateway", opts.gateway)}
	if _, err := os.Stat(opts.envoy); err == nil {
		bed.proxies = slices.Insert(bed.proxies, 2, files.envoy(opts.envoy))
	} else {
		bed.missing = append(bed.missing, "Envoy")
	}
	if opts.before != "" {
		// The second process of the same binary shows how much the numbers vary by
		// themselves.
		bed.proxies = append(bed.proxies, files.gateway(before, opts.before), files.gateway("mcpgateway again", opts.gateway))
	}
	for _, x := range bed.proxies {
		if x.at, err = freeAddress(ctx); err != nil {
			return nil, err
		}
		if x.mcpAt, err = freeAddress(ctx); err != nil {
			return nil, err
		}
		if err := x.start(ctx, p); err != nil {
			return nil, err
		}
	}
	return bed, nil
}

// before is the name of the gateway of the earlier binary.
const before = "mcpgateway before"

func (b *testbed) stop() {
	for _, x := range b.proxies {
		if x.process != nil {
			x.process.stop()
		}
	}
	if b.upstream != nil {
		b.upstream.stop()
	}
}

// loads are the kinds of load: the same JSON document over plain HTTP, the same
// tool call and the same list of tools over MCP. A plain proxy serves all.
func (b *testbed) loads() []*load {
	get := func(at string) func(int) requester {
		return func(int) requester { return &getter{client: b.pki.client(), url: "https://" + at + "/json"} }
	}
	mcp := func(list bool) func(at, path string, tools ...string) func(int) requester {
		return func(at, path string, tools ...string) func(int) requester {
			return func(int) requester {
				return &caller{client: b.pki.client(), url: "https://" + at + path, tools: tools, list: list}
			}
		}
	}
	gets, calls, lists := &load{name: "GET /json"}, &load{name: "MCP tools/call"}, &load{name: "MCP tools/list"}
	gets.cases = []*testCase{{name: alone, newLoad: get(b.addresses[0])}}
	for _, x := range b.proxies {
		gets.cases = append(gets.cases, &testCase{name: x.plainName(), proxy: x.process, baseline: x.isBaseline(), newLoad: get(x.at)})
	}
	for l, load := range map[*load]func(at, path string, tools ...string) func(int) requester{calls: mcp(false), lists: mcp(true)} {
		l.cases = []*testCase{{name: alone, newLoad: load(b.addresses[0], "/mcp", "echo")}}
		for _, x := range b.proxies {
			l.cases = append(l.cases, &testCase{name: x.plainName(), proxy: x.process, baseline: x.isBaseline(), newLoad: load(x.at, "/mcp", "echo")})
			if x.isGateway() {
				l.cases = append(l.cases,
					&testCase{name: x.name + ", MCP, 1 cluster", proxy: x.process, newLoad: load(x.mcpAt, "/one", "echo")},
					&testCase{name: x.name + ", MCP, 3 clusters", proxy: x.process, newLoad: load(x.mcpAt, "/three", "c0__echo", "c1__echo", "c2__echo")},
				)
			}
		}
	}
	all := []*load{gets, calls, lists}
	for _, l := range all {
		l.pair()
	}
	return all
}

// alone is how the case without a proxy is called.
const alone = "upstream alone"

func (p *proxy) isBaseline() bool { return p.name == "nginx" }
func (p *proxy) isGateway() bool  { return strings.HasPrefix(p.name, "mcpgateway") }

// plainName is what it is called as a plain proxy.
func (p *proxy) plainName() string {
	if p.isGateway() {
		return p.name + ", plain proxy"
	}
	return p.name
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
