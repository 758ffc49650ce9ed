package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// testbed is what the legs run against.
type testbed struct {
	opts options
	dir  string
	ends []func()
	// legacy and modern are the URLs of the same servers: direct, then through
	// the gateway.
	legacy, modern, reference []string
}

// ways are how the servers are reached.
var ways = []string{"direct", "plain", "mtls", "federation"}

func (b *testbed) stop() {
	for i := len(b.ends) - 1; i >= 0; i-- {
		b.ends[i]()
	}
}

func newTestbed(ctx context.Context, opts options, dir string) (*testbed, error) {
	b := &testbed{opts: opts, dir: dir}
	if err := b.start(ctx); err != nil {
		b.stop()
		return nil, err
	}
	return b, nil
}

func (b *testbed) start(ctx context.Context) error {
	if err := makeCertificates(ctx, b.dir); err != nil {
		return err
	}
	legacy, err := b.everything(ctx, "-stateless=false")
	if err != nil {
		return err
	}
	modern, err := b.everything(ctx, "-stateless")
	if err != nil {
		return err
	}
	// A federation offers the revision that its servers have in common.
	seconds := map[string]string{}
	for name, arg := range map[string]string{"legacy": "-stateless=false", "modern": "-stateless"} {
		if seconds[name], err = b.everything(ctx, arg); err != nil {
			return err
		}
	}
	reference, err := b.referenceServer(ctx)
	if err != nil {
		return err
	}
	config := gatewayConfig{dir: b.dir}
	for _, s := range []struct {
		name string
		url  string
		to   *[]string
	}{{"legacy", legacy, &b.legacy}, {"modern", modern, &b.modern}, {"reference", reference, &b.reference}} {
		guarded, end, err := strict(ctx, b.dir, s.url)
		if err != nil {
			return err
		}
		b.ends = append(b.ends, end)
		config.cluster(s.name, s.url, false)
		config.cluster(s.name+"-mtls", guarded, true)
		config.route("/"+s.name, s.name)
		config.route("/"+s.name+"-mtls", s.name+"-mtls")
		*s.to = []string{s.url, "/" + s.name, "/" + s.name + "-mtls"}
	}
	for _, s := range []struct {
		name string
		to   *[]string
	}{{"legacy", &b.legacy}, {"modern", &b.modern}} {
		config.cluster("second-"+s.name, seconds[s.name], false)
		config.route("/"+s.name+"-federation", "{name: "+s.name+", prefix: "+strings.TrimSuffix(prefix, "__")+"}", "{name: second-"+s.name+", prefix: two}")
		*s.to = append(*s.to, "/"+s.name+"-federation")
	}
	address, end, err := startGateway(ctx, b.opts.gateway, b.dir, &config)
	if err != nil {
		return err
	}
	b.ends = append(b.ends, end)
	for _, urls := range [][]string{b.legacy, b.modern, b.reference} {
		for i := range urls[1:] {
			urls[i+1] = "http://" + address + urls[i+1]
		}
	}
	for cluster, urls := range map[string][]string{"legacy": b.legacy, "modern": b.modern} {
		at, end, err := shim(ctx, urls[3], cluster)
		if err != nil {
			return err
		}
		b.ends = append(b.ends, end)
		urls[3] = at
	}
	return nil
}

// everything starts the Go SDK's everything-server and returns its URL.
func (b *testbed) everything(ctx context.Context, args ...string) (string, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return "", err
	}
	return "http://" + address + "/mcp", b.serve(ctx, address, exec.CommandContext(ctx, b.tool("bin/everything-server"), append(args, "-http="+address)...))
}

// referenceServer starts the TypeScript SDK's.
func (b *testbed) referenceServer(ctx context.Context) (string, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, b.tool("node_modules/.bin/node"), b.tool("node_modules/.bin/mcp-server-everything"), "streamableHttp")
	cmd.Env = append(os.Environ(), "PORT="+address[len("127.0.0.1:"):])
	return "http://" + address + "/mcp", b.serve(ctx, address, cmd)
}

func (b *testbed) serve(ctx context.Context, address string, cmd *exec.Cmd) error {
	p, err := start(cmd)
	if err != nil {
		return err
	}
	b.ends = append(b.ends, p.stop)
	return p.listens(ctx, address)
}

// legs are all comparisons.
func (b *testbed) legs() []leg {
	return []leg{
		b.serverLeg("server 2025-11-25", ways, b.legacy, "--requirements", "2025-11-25"),
		b.serverLeg("server 2025-06-18", ways, b.legacy, "--spec-version", "2025-06-18"),
		b.serverLeg("server 2026-07-28", ways, b.modern, "--suite", "all", "--spec-version", "2026-07-28"),
		b.serverLeg("reference server 2025-11-25", ways[:3], b.reference, "--requirements", "2025-11-25"),
		b.clientLeg("2025-11-25"),
		b.clientLeg("2026-07-28"),
		b.peerLeg("clients of a Go server", b.legacy[:3]),
		b.peerLeg("clients of a stateless Go server", b.modern[:3]),
		b.peerLeg("clients of the reference server", b.reference),
	}
}

// gatewayConfig is a file in the making.
type gatewayConfig struct {
	dir, log         string
	more             string // lines of the top level
	clusters, routes string
}

func (g *gatewayConfig) cluster(name, url string, mtls bool) {
	g.clusters += fmt.Sprintf("  - name: %s\n    endpoints: [%q]\n", name, url)
	if mtls {
		g.clusters += fmt.Sprintf("    tls: {ca_cert: %q, client_cert: %q, client_key: %q}\n",
			filepath.Join(g.dir, "ca.crt"), filepath.Join(g.dir, "client.crt"), filepath.Join(g.dir, "client.key"))
	}
}

func (g *gatewayConfig) route(path string, clusters ...string) {
	g.routes += fmt.Sprintf("  - match: {path: %q}\n    mcp:\n      clusters:\n", path)
	for _, c := range clusters {
		g.routes += "        - " + c + "\n"
	}
}

// offer makes the last route offer these revisions, whatever its servers serve.
func (g *gatewayConfig) offer(versions ...string) {
	g.routes += "      versions: [" + strings.Join(versions, ", ") + "]\n"
}

// startGateway runs a gateway until end is called, and returns its address.
func startGateway(ctx context.Context, binary, dir string, config *gatewayConfig) (address string, end func(), err error) {
	if address, err = freeAddress(ctx); err != nil {
		return "", nil, err
	}
	text := config.more + fmt.Sprintf("log: {level: warn, access: false, file: %q}\nlisteners:\n  - {name: main, address: %q}\nroutes:\n%sclusters:\n%s", config.log, address, config.routes, config.clusters)
	path := filepath.Join(dir, "gateway.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return "", nil, err
	}
	p, err := start(exec.CommandContext(ctx, binary, "run", "-c", path))
	if err != nil {
		return "", nil, err
	}
	if err := p.listens(ctx, address); err != nil {
		p.stop()
		return "", nil, err
	}
	return address, p.stop, nil
}
