package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// leg is one comparison.
type leg struct {
	name string
	run  func(context.Context) (*results, error)
}

// suiteLine is a line of the suite's summary.
var suiteLine = regexp.MustCompile(`(?m)^([✓✗~⚠]) (\S+): (\d+) passed, (\d+) failed`)

// serverLeg runs the suite against servers: ways and urls, direct first.
func (b *testbed) serverLeg(name string, ways, urls []string, args ...string) leg {
	return leg{name, func(ctx context.Context) (*results, error) {
		r := newResults(ways...)
		for i, u := range urls {
			out, err := b.suite(ctx, nil, append([]string{"server", "--url", u}, args...)...)
			if err != nil {
				return nil, err
			}
			for _, m := range suiteLine.FindAllStringSubmatch(out, -1) {
				r.set(m[2], i, verdict{ran: true, passed: m[4] == "0" && m[1] != "✗", said: why(out, m[2])})
			}
		}
		return r, nil
	}}
}

// why finds what the suite said about a scenario that failed.
func why(out, scenario string) string {
	_, out, _ = strings.Cut(out, "Running scenario: "+scenario+" ")
	out, _, _ = strings.Cut(out, "Running scenario: ")
	for line := range strings.SplitSeq(out, "\n") {
		if strings.Contains(line, "rror") || strings.Contains(line, "FAIL") {
			return strings.TrimSpace(line)
		}
	}
	return "it failed"
}

// suite runs the official suite. A scenario that fails is no error here.
func (b *testbed) suite(ctx context.Context, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, b.tool("node_modules/.bin/node"), append([]string{b.tool("node_modules/.bin/conformance")}, args...)...)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if exit, ok := err.(*exec.ExitError); ok && exit.Exited() { //nolint:errorlint // Run returns it as it is
		err = nil
	}
	return string(out), err
}

func (b *testbed) tool(path string) string { return filepath.Join(b.opts.tools, path) }

// clientLeg runs the suite's scenarios for clients with the Go SDK's client,
// directly and through a gateway that is made for each. Those about
// authorization name the server itself.
func (b *testbed) clientLeg(revision string) leg {
	return leg{"client " + revision, func(ctx context.Context) (*results, error) {
		r := newResults("direct", "plain", "mtls")
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		out, err := b.suite(ctx, nil, "list", "--client", "--spec-version", revision)
		if err != nil {
			return nil, err
		}
		var mu sync.Mutex
		var failed error
		slots := make(chan struct{}, 3)
		var wg sync.WaitGroup
		for _, m := range regexp.MustCompile(`(?m)^\s+- (\S+)`).FindAllStringSubmatch(out, -1) {
			scenario := m[1]
			if strings.HasPrefix(scenario, "auth/") {
				continue
			}
			for i, way := range r.ways {
				slots <- struct{}{}
				wg.Go(func() {
					defer func() { <-slots }()
					said, err := b.suite(ctx, b.clientEnv(way), "client", "--command", self, "--scenario", scenario, "--spec-version", revision)
					mu.Lock()
					defer mu.Unlock()
					if err != nil {
						failed = err
					}
					r.set(scenario, i, verdict{ran: true, passed: strings.Contains(said, "OVERALL: PASSED"), said: lastLines(said)})
				})
			}
		}
		wg.Wait()
		return r, failed
	}}
}

func lastLines(said string) string {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	return strings.Join(lines[max(0, len(lines)-6):], " | ")
}
