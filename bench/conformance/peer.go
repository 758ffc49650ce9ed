package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// peer is a real client: a program that does what users do, and prints the outcome
// of each step in a JSON object.
type peer struct {
	name    string
	command []string // the server's URL is appended
}

// peers are all clients. Their programs stand in clients/.
func (b *testbed) peers() []peer {
	node, python := b.tool("node_modules/.bin/node"), b.tool("python/bin/python")
	script := func(name string) string { return b.tool("clients/" + name) }
	return []peer{
		{"typescript-v1", []string{node, script("typescript-v1.mjs")}},
		{"typescript-v2", []string{node, script("typescript-v2.mjs")}},
		{"python", []string{python, script("python.py"), "auto"}},
		{"python-legacy", []string{python, script("python.py"), "legacy"}},
		{"inspector", []string{"bash", script("inspector.sh"), node, b.tool("node_modules/.bin/mcp-inspector")}},
	}
}

// peerTime bounds one run of one client.
const peerTime = time.Minute

// peerLeg runs every client against the same server, in each way.
func (b *testbed) peerLeg(name string, urls []string) leg {
	return leg{name, func(ctx context.Context) (*results, error) {
		r := newResults(ways[:len(urls)]...)
		for _, p := range b.peers() {
			for i, u := range urls {
				outcome, err := p.run(ctx, u)
				if err != nil {
					return nil, fmt.Errorf("%s, %s: %w", p.name, r.ways[i], err)
				}
				for what, came := range outcome {
					r.set(p.name+" "+what, i, verdict{ran: true, passed: came == "ok", said: came})
				}
			}
		}
		return r, nil
	}}
}

// run returns, for each thing that the client did, "ok" or what went wrong.
func (p *peer) run(ctx context.Context, url string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, peerTime)
	defer cancel()
	args := append(p.command[1:len(p.command):len(p.command)], url)
	cmd := exec.CommandContext(ctx, p.command[0], args...)
	cmd.WaitDelay = 5 * time.Second
	var noise tail
	cmd.Stderr = &noise
	cmd.Env = append(os.Environ(), "NO_COLOR=1")
	out, err := cmd.Output()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	outcome := map[string]string{}
	if json.Unmarshal([]byte(lines[len(lines)-1]), &outcome) != nil {
		return nil, fmt.Errorf("it printed no outcome: %w: %s%s", err, out, &noise)
	}
	return outcome, nil
}
