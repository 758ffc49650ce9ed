package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// species is one SDK in one version: a server and a client, written alike in
// all of them (see zoo/).
type species struct {
	name           string
	server, client []string // the transport and what belongs to it are appended
	sse            bool     // the SDK has a server of HTTP+SSE
}

func (b *testbed) species() []species {
	var all []species
	for _, version := range []string{"mcp-1.9", "mcp-1.25", "mcp-1", "mcp-2", "fastmcp-2", "fastmcp-4"} {
		python := b.tool("venv/" + version + "/bin/python")
		all = append(all, species{"python " + version, []string{python, b.tool("zoo/python/server.py")}, []string{python, b.tool("zoo/python/client.py")}, true})
	}
	node := b.tool("node_modules/.bin/node")
	for _, version := range []string{"v1", "v2"} {
		script := func(role string) []string {
			return []string{node, b.tool("zoo/typescript/" + role + "-" + version + ".mjs")}
		}
		all = append(all, species{"typescript " + version, script("server"), script("client"), version == "v1"})
	}
	for _, name := range []string{"go-sdk", "mcp-go"} {
		program := b.tool("bin/zoo-" + name)
		all = append(all, species{name, []string{program, "server"}, []string{program, "client"}, true})
	}
	return all
}

// overs are the transports, each between client and gateway and between
// gateway and server.
var overs = []string{"http", "sse", "stdio"}

// zooWays are how a client reaches a server.
var zooWays = []string{"direct", "one cluster", "federation"}

// stranger is how far in the list the client of another SDK stands that each
// server gets beside its own.
const stranger = 5

// atOnce bounds how many servers are kept at a time.
const atOnce = 4

// zoo keeps every server under its own SDK's client and a foreign one, directly
// and through the gateway, takes it away from them in all the ways that servers
// are, and prints what was lost. It returns how much of that the gateway
// answers for.
func zoo(ctx context.Context, opts options, dir string) (int, error) {
	z := &zookeeper{testbed: testbed{opts: opts, dir: dir}}
	defer z.stop()
	pens, err := z.pens(ctx)
	if err != nil {
		return 0, err
	}
	// The servers come first: an endpoint that is not there when the gateway
	// starts gets no traffic until its next health check.
	inAll(pens, func(p *pen) { p.err = p.begin(ctx) })
	if err := z.gateway(ctx, pens); err != nil {
		return 0, err
	}
	inAll(pens, func(p *pen) { p.run(ctx) })
	lost := judgeZoo(os.Stdout, pens, opts.verbose)
	if opts.verbose {
		text, _ := os.ReadFile(z.log) // there is none if nothing happened
		fmt.Printf("%s", text)
	}
	return lost, ctx.Err()
}

// inAll does something in every pen, in some of them at a time.
func inAll(pens []*pen, do func(*pen)) {
	var doing sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for _, p := range pens {
		slots <- struct{}{}
		doing.Go(func() {
			defer func() { <-slots }()
			do(p)
		})
	}
	doing.Wait()
}

// zookeeper has what all servers share.
type zookeeper struct {
	testbed
	at  string // the gateway's address
	log string // and its log
}

// pens are every server over every transport that it has, with their visitors.
func (z *zookeeper) pens(ctx context.Context) ([]*pen, error) {
	var there []species
	for _, s := range z.species() {
		if _, err := os.Stat(s.server[0]); err != nil {
			fmt.Printf("not in the zoo, as it is not installed here: %s\n", s.name)
			continue
		}
		there = append(there, s)
	}
	var pens []*pen
	for i, s := range there {
		foreign := there[(i+stranger)%len(there)]
		for _, over := range overs {
			if over == "sse" && !s.sse || !strings.Contains(s.name+" "+over, z.opts.only) {
				continue
			}
			address, err := freeAddress(ctx)
			if err != nil {
				return nil, err
			}
			p := &pen{keeper: z, species: s, over: over, address: address, clients: []species{s}}
			if over == "http" && foreign.name != s.name {
				p.clients = append(p.clients, foreign)
			}
			pens = append(pens, p)
		}
	}
	return pens, nil
}

// companion is the other member of every federation. It does not die.
const companion = "companion"

// gateway starts one for all pens: what happens in one is not felt in another.
func (z *zookeeper) gateway(ctx context.Context, pens []*pen) error {
	address, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	if err := z.serve(ctx, address, exec.CommandContext(ctx, z.tool("bin/zoo-go-sdk"), "server", "http", address)); err != nil {
		return err
	}
	z.log = filepath.Join(z.dir, "gateway.log")
	config := gatewayConfig{dir: z.dir, log: z.log}
	config.cluster(companion, "http://"+address+"/mcp", false)
	for _, p := range pens {
		if p.over == "stdio" {
			config.command(p.name(), append(slices.Clone(p.species.server), "stdio"))
		} else {
			config.cluster(p.name(), p.url(), false)
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

// name is that of the pen's cluster.
func (p *pen) name() string {
	return strings.NewReplacer(" ", "-", ".", "-").Replace(p.species.name) + "-" + p.over
}

// url is where the pen's server is, unless it is a child of who uses it.
func (p *pen) url() string {
	return "http://" + p.address + map[string]string{"http": "/mcp", "sse": "/sse"}[p.over]
}

// target is what a client is given for one way to the server.
func (p *pen) target(way int) []string {
	path := []string{"", "/" + p.name(), "/" + p.name() + "/federation"}[way]
	gateway := "http://" + p.keeper.at + path
	switch {
	case p.over == "stdio" && way == 0:
		return append(slices.Clone(p.species.server), "stdio")
	case p.over == "stdio":
		return []string{p.keeper.opts.gateway, "stdio", "--url", gateway}
	case way == 0:
		return []string{p.url()}
	case p.over == "sse":
		return []string{gateway + "/sse"}
	}
	return []string{gateway}
}

// command is a cluster of child processes.
func (g *gatewayConfig) command(name string, command []string) {
	g.clusters += fmt.Sprintf("  - name: %s\n    command: [%s]\n", name, "'"+strings.Join(command, "', '")+"'")
}

// sse serves the last route over HTTP+SSE too.
func (g *gatewayConfig) sse(path string) {
	g.routes += fmt.Sprintf("      sse: {path: %q}\n", path)
}

// serverCommand is the pen's server, listening.
func (p *pen) serverCommand(ctx context.Context) *exec.Cmd {
	args := append(slices.Clone(p.species.server[1:]), p.over, p.address)
	cmd := exec.CommandContext(ctx, p.species.server[0], args...)
	cmd.Dir = filepath.Dir(p.species.server[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("ZOO_IDLE=%g", sessionIdle.Seconds()))
	return cmd
}
