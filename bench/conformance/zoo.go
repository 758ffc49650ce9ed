package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// sdk is one SDK in one version: a server and a client, written alike in
// all of them (see zoo/).
type sdk struct {
	name           string
	server, client starter // the transport and what belongs to it are appended
	sse            bool    // the SDK has a server of HTTP+SSE
	forks          bool    // it is loaded once, and forked
}

func (b *testbed) sdk() []sdk {
	var all []sdk
	for _, version := range []string{"mcp-1.9", "mcp-1.25", "mcp-1", "mcp-2", "fastmcp-2", "fastmcp-4"} {
		python := b.tool("venv/" + version + "/bin/python")
		script := func(role string) starter {
			return starter{argv: []string{python, b.tool("zoo/python/" + role + ".py")}}
		}
		all = append(all, sdk{"python " + version, script("server"), script("client"), true, true})
	}
	node := b.tool("node_modules/.bin/node")
	for _, version := range []string{"v1", "v2"} {
		script := func(role string) starter {
			return starter{argv: []string{node, b.tool("zoo/typescript/" + role + "-" + version + ".mjs")}}
		}
		all = append(all, sdk{"typescript " + version, script("server"), script("client"), version == "v1", false})
	}
	for _, name := range []string{"go-sdk", "mcp-go", "rmcp"} {
		role := func(role string) starter { return starter{argv: []string{b.tool("bin/zoo-" + name), role}} }
		all = append(all, sdk{name, role("server"), role("client"), name != "rmcp", false})
	}
	return all
}

// overs are the transports, each between client and gateway and between
// gateway and server.
var overs = []string{"http", "sse", "stdio"}

// zooWays are how a client reaches a server.
var zooWays = []string{"direct", "one cluster", "federation"}

// foreignOffset is how far in the list the client of another SDK stands that each
// server gets beside its own.
const foreignOffset = 5

// atOnce bounds how many servers are kept at a time, stdioAtOnce those that are
// started as children, once for each client, which takes more of the machine.
const (
	atOnce      = 6
	stdioAtOnce = 2
)

// zoo runs every server with a client of its own SDK and one of another SDK,
// directly and through the gateway, stops, kills and restarts it meanwhile, and
// writes what the clients lost. It returns how much of that is the gateway's
// fault.
func zoo(ctx context.Context, opts options, dir string, w io.Writer) (int, error) {
	z := &zooRun{testbed: testbed{opts: opts, dir: dir}}
	defer z.stop()
	trials, err := z.trials(ctx, w)
	if err != nil {
		return 0, err
	}
	// The servers come first: an endpoint that is not there when the gateway
	// starts gets no traffic until its next health check.
	inAll(trials, func(p *trial) { p.err = p.begin(ctx) })
	if err := z.gateway(ctx, trials); err != nil {
		return 0, err
	}
	inAll(trials, func(p *trial) { p.run(ctx) })
	again(ctx, w, trials)
	lost := judgeZoo(w, trials, opts.verbose)
	if opts.verbose {
		text, _ := os.ReadFile(z.log) // there is none if nothing happened
		fmt.Fprintf(w, "%s", text)
	}
	return lost, ctx.Err()
}

// mostAgain is how many trials may be tried again.
const mostAgain = 8

// again repeats the trials in which something was lost, one by one: on a busy
// machine, trials that run at once miss deadlines for reasons other than the
// gateway. What was lost is printed all the same.
func again(ctx context.Context, w io.Writer, trials []*trial) {
	var bad []*trial
	for _, p := range trials {
		if _, reasons, lost := p.judge(false); lost > 0 {
			bad = append(bad, p)
			if p.err != nil {
				reasons = append(reasons, "  "+p.err.Error())
			}
			fmt.Fprintf(w, "%s: %d lost:\n%s\n", p.name(), lost, strings.Join(reasons, "\n"))
		}
	}
	if len(bad) > mostAgain {
		return
	}
	for _, p := range bad {
		fmt.Fprintln(w, "once more, alone:", p.name())
		p.participants, p.server, p.restarts = nil, nil, restarts{}
		p.err = p.begin(ctx)
		if p.err == nil && p.server != nil {
			p.err = p.healed(ctx)
		}
		p.run(ctx)
	}
}

// inAll does something in every trial, in some of them at a time.
func inAll(trials []*trial, do func(*trial)) {
	var doing sync.WaitGroup
	slots := map[bool]chan struct{}{true: make(chan struct{}, stdioAtOnce), false: make(chan struct{}, atOnce-stdioAtOnce)}
	for _, p := range trials {
		doing.Go(func() {
			slot := slots[p.over == "stdio"]
			slot <- struct{}{}
			defer func() { <-slot }()
			do(p)
		})
	}
	doing.Wait()
}

// zooRun has what all servers share.
type zooRun struct {
	testbed
	at  string // the gateway's address
	log string // and its log
	// metrics is the URL of its metrics.
	metrics string
}

// trials are every server over every transport that it has, with their participants.
func (z *zooRun) trials(ctx context.Context, w io.Writer) ([]*trial, error) {
	var there []sdk
	for _, s := range z.sdk() {
		if _, err := os.Stat(s.server.argv[0]); err != nil {
			if s.name != "rmcp" { // takes minutes to build, and has to be asked for
				return nil, fmt.Errorf("%s is not installed: %w", s.name, err)
			}
			fmt.Fprintln(w, "left out, since it is built only by `make zoo RMCP=1`:", s.name)
			continue
		}
		there = append(there, s)
	}
	if err := z.forkservers(ctx, there); err != nil {
		return nil, err
	}
	var trials []*trial
	for i, s := range there {
		foreign := there[(i+foreignOffset)%len(there)]
		for _, over := range overs {
			if over == "sse" && !s.sse || !strings.Contains(s.name+" "+over, z.opts.only) {
				continue
			}
			address, err := freeAddress(ctx)
			if err != nil {
				return nil, err
			}
			p := &trial{zoo: z, sdk: s, over: over, address: address, clients: []sdk{s}}
			if over == "http" && foreign.name != s.name {
				p.clients = append(p.clients, foreign)
			}
			trials = append(trials, p)
		}
	}
	return trials, nil
}

// forkservers starts one for each SDK of Python that takes part, all at once.
func (z *zooRun) forkservers(ctx context.Context, there []sdk) error {
	var starting sync.WaitGroup
	failed := make([]error, len(there))
	servers := make([]*forkserver, len(there))
	for i := range there {
		s := &there[i]
		if !s.forks {
			continue
		}
		starting.Go(func() {
			f, err := newForkserver(ctx, s.server.argv[0], z.tool("zoo/python/forkserver.py"), z.dir, fmt.Sprint("fork-", i))
			servers[i], failed[i] = f, err
			s.server.server, s.client.server = f, f
		})
	}
	starting.Wait()
	for _, f := range servers {
		if f != nil {
			z.ends = append(z.ends, func() { f.process.end(0) })
		}
	}
	return errors.Join(failed...)
}

// companion is the other member of every federation. It runs to the end.
const companion = "companion"

// gateway starts one for all trials: none of them affects another.
func (z *zooRun) gateway(ctx context.Context, trials []*trial) error {
	address, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	if err := z.serve(ctx, address, exec.CommandContext(ctx, z.tool("bin/zoo-go-sdk"), "server", "http", address)); err != nil {
		return err
	}
	z.log = filepath.Join(z.dir, "gateway.log")
	admin, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	z.metrics = "http://" + admin + "/metrics"
	config := gatewayConfig{dir: z.dir, log: z.log, more: fmt.Sprintf("admin: {address: %q}\n", admin)}
	config.cluster(companion, "http://"+address+"/mcp", false)
	for _, p := range trials {
		if p.over == "stdio" {
			config.command(p.name(), p.stdio())
		} else {
			config.cluster(p.name(), p.url(), false)
			config.check()
		}
		config.route("/"+p.name(), p.name())
		config.sse("/" + p.name() + "/sse")
		config.route("/"+p.name()+"/federation", "{name: "+p.name()+", prefix: zoo}", companion)
		config.sse("/" + p.name() + "/federation/sse")
	}
	at, end, err := startGateway(ctx, z.opts.gateway, z.dir, &config)
	if err != nil {
		return err
	}
	z.at, z.ends = at, append(z.ends, end)
	return nil
}

// name is that of the trial's cluster.
func (p *trial) name() string {
	return strings.NewReplacer(" ", "-", ".", "-").Replace(p.sdk.name) + "-" + p.over
}

// url is where the trial's server is, unless it is a child process.
func (p *trial) url() string {
	return "http://" + p.address + map[string]string{"http": "/mcp", "sse": "/sse"}[p.over]
}

// target is what a client is given for one way to the server.
func (p *trial) target(way int) []string {
	path := []string{"", "/" + p.name(), "/" + p.name() + "/federation"}[way]
	gateway := "http://" + p.zoo.at + path
	switch {
	case p.over == "stdio" && way == 0:
		return p.stdio()
	case p.over == "stdio":
		return []string{p.zoo.opts.gateway, "stdio", "--url", gateway}
	case way == 0:
		return []string{p.url()}
	case p.over == "sse":
		return []string{gateway + "/sse"}
	}
	return []string{gateway}
}

// command is a cluster of child processes.
func (g *gatewayConfig) command(name string, command []string) {
	g.clusters += fmt.Sprintf("  - name: %s\n    command: [%s]\n    start_timeout: %v\n", name, "'"+strings.Join(command, "', '")+"'", starting)
}

// check sets how often the last cluster is checked.
func (g *gatewayConfig) check() {
	g.clusters += fmt.Sprintf("    health_check: {interval: %v, unhealthy_threshold: %d}\n", checks, checksFail)
}

// sse serves the last route over HTTP+SSE too.
func (g *gatewayConfig) sse(path string) {
	g.routes += fmt.Sprintf("      sse: {path: %q}\n", path)
}

// stdio is the command of the trial's server as a child.
func (p *trial) stdio() []string { return append(slices.Clone(p.sdk.server.argv), "stdio") }
