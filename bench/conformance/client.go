package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// asClient makes this program a client of the suite; its value is the way to
// the server. The other variables say what it runs.
const (
	asClient   = "CONFORMANCE_CLIENT"
	envGateway = "CONFORMANCE_GATEWAY"
	envProgram = "CONFORMANCE_PROGRAM"
)

func (b *testbed) clientEnv(way string) []string {
	return []string{asClient + "=" + way, envGateway + "=" + b.opts.gateway, envProgram + "=" + b.tool("bin/everything-client")}
}

// runClient runs the Go SDK's client for the server at target, and returns its
// exit code.
func runClient(target string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	code, err := clientOf(ctx, target)
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		return 1
	}
	return code
}

func clientOf(ctx context.Context, target string) (int, error) {
	if os.Getenv(asClient) != "direct" {
		at, end, err := between(ctx, target)
		if err != nil {
			return 0, err
		}
		defer end()
		target = at
	}
	cmd := exec.CommandContext(ctx, os.Getenv(envProgram), target)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	err := cmd.Run()
	if cmd.ProcessState == nil {
		return 0, err
	}
	return cmd.ProcessState.ExitCode(), nil
}

// between puts a gateway before a server, and returns where it is served.
func between(ctx context.Context, target string) (at string, end func(), err error) {
	u, err := url.Parse(target)
	if err != nil {
		return "", nil, err
	}
	if u.Path == "" {
		u.Path = "/"
	}
	dir, err := os.MkdirTemp("", "conformance-")
	if err != nil {
		return "", nil, err
	}
	ends := []func(){func() { _ = os.RemoveAll(dir) }}
	end = func() {
		for i := len(ends) - 1; i >= 0; i-- {
			ends[i]()
		}
	}
	upstream, mtls := u.String(), os.Getenv(asClient) == "mtls"
	if mtls {
		if err := makeCertificates(ctx, dir); err != nil {
			end()
			return "", nil, err
		}
		guarded, stop, err := strict(ctx, dir, upstream)
		if err != nil {
			end()
			return "", nil, err
		}
		ends, upstream = append(ends, stop), guarded
	}
	config := gatewayConfig{dir: dir}
	config.cluster("server", upstream, mtls)
	config.route(u.Path, "server")
	address, stop, err := startGateway(ctx, os.Getenv(envGateway), dir, &config)
	if err != nil {
		end()
		return "", nil, err
	}
	ends = append(ends, stop)
	return "http://" + address + u.Path, end, nil
}
