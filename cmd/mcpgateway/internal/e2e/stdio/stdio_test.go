package stdio_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// desk is a gateway that wants a token and a client certificate, in front of a
// strict server, and what a desktop client needs to reach it by stdio.
type desk struct {
	t       *testing.T
	dir     string
	address string
	server  *mcp.Server
	strict  *harness.StrictServer
	gateway *harness.Gateway
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	ca := tlstest.NewCA(t, "Test CA")
	d := &desk{t: t, dir: harness.ShortDir(t), server: harness.NewTools("one")}
	mcp.AddTool(d.server, &mcp.Tool{Name: "steps"}, func(ctx context.Context, r *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
		for i := range 3 {
			if err := r.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: r.Params.GetProgressToken(), Progress: float64(i + 1)}); err != nil {
				return nil, nil, err
			}
		}
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "hi"}}}, nil, nil
	})
	cert, key := ca.Server(t, "localhost", "127.0.0.1")
	d.strict = harness.NewStrictServer(t, "127.0.0.1:0", ca.PEM(), cert, key, harness.Streamable(d.server))
	harness.WriteFile(t, d.dir, "ca.crt", ca.PEM())
	for _, name := range []string{"server", "client", "upstream"} {
		cert, key := ca.Client(t, name)
		if name == "server" {
			cert, key = ca.Server(t, "localhost", "127.0.0.1")
		}
		harness.WriteFile(t, d.dir, name+".crt", cert)
		harness.WriteFile(t, d.dir, name+".key", key)
	}
	harness.WriteFile(t, d.dir, "jwt.key", []byte(harness.Secret))
	harness.WriteFile(t, d.dir, "token", []byte(harness.Token(t)+"\n"))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d.address = l.Addr().String()
	l.Close()
	d.start()
	return d
}

func (d *desk) yaml() string {
	return fmt.Sprintf(`
reload: {watch: false}
shutdown: {timeout: 1s}
listeners:
  - name: public
    address: %s
    tls:
      certificates: [{cert: server.crt, key: server.key}]
      client_auth: {mode: require, ca_cert: ca.crt}
routes:
  - match: {path: /mcp}
    auth: {jwt: {issuer: mcpgateway, audiences: [mcpgateway-api], hmac_secret_files: [jwt.key]}}
    mcp: {clusters: [one], versions: [2026-07-28, 2025-11-25]}
clusters:
  - name: one
    endpoints: ["https://127.0.0.1:%s/mcp"]
    tls: {ca_cert: ca.crt, client_cert: upstream.crt, client_key: upstream.key}
    health_check: {interval: 100ms, healthy_threshold: 1}
`, d.address, d.strict.Port())
}

func (d *desk) start() {
	d.t.Helper()
	d.gateway = harness.Start(d.t, d.dir, d.yaml())
}

// down ends the gateway.
func (d *desk) down() {
	d.t.Helper()
	if err := d.gateway.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		d.t.Fatal(err)
	}
	<-d.gateway.Done
}

func (d *desk) command(args ...string) *exec.Cmd {
	return harness.Command(d.t, d.dir, append([]string{"stdio", "--url", "https://" + d.address + "/mcp", "--token-file", "token",
		"--ca-cert", "ca.crt", "--client-cert", "client.crt", "--client-key", "client.key"}, args...)...)
}

// client connects the SDK's client to a child process.
func (d *desk) client(version string, opts *mcp.ClientOptions, args ...string) (*mcp.ClientSession, *exec.Cmd) {
	d.t.Helper()
	cmd := d.command(args...)
	var log testkit.Buffer
	cmd.Stderr = &log
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	session, err := mcp.NewClient(&mcp.Implementation{Name: "desk", Version: "1"}, opts).
		Connect(ctx, &mcp.CommandTransport{Command: cmd}, &mcp.ClientSessionOptions{ProtocolVersion: version})
	if err != nil {
		d.t.Fatalf("connecting: %v\n%s", err, log.String())
	}
	if got := session.InitializeResult().ProtocolVersion; got != version {
		d.t.Fatalf("the client speaks %s, not %s", got, version)
	}
	d.t.Cleanup(func() {
		session.Close()
		if d.t.Failed() {
			d.t.Logf("the relay's log:\n%s", log.String())
		}
	})
	return session, cmd
}

// revisions are those of which one begins with initialize, and one does not.
func revisions(t *testing.T, f func(t *testing.T, version string)) {
	for _, version := range []string{"2025-11-25", "2026-07-28"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			f(t, version)
		})
	}
}

func TestADesktopClientReachesTheGatewayByStdio(t *testing.T) {
	t.Parallel()
	revisions(t, func(t *testing.T, version string) {
		d := newDesk(t)
		changed, progress, asked := make(chan struct{}, 16), make(chan float64, 16), make(chan string, 16)
		session, cmd := d.client(version, &mcp.ClientOptions{
			ToolListChangedHandler: func(context.Context, *mcp.ToolListChangedRequest) { changed <- struct{}{} },
			ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
				progress <- r.Params.Progress
			},
			ElicitationHandler: func(_ context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
				asked <- r.Params.Message
				return &mcp.ElicitResult{Action: "accept"}, nil
			},
		})
		if got := session.InitializeResult().ProtocolVersion; got != version {
			t.Errorf("the revision is %s", got)
		}
		if got, err := harness.Call(session, "echo", "grüß dich\nyou"); err != nil || got != "one: grüß dich\nyou" {
			t.Errorf("%q %v", got, err)
		}
		if got, err := harness.Call(session, "ask", "may I?"); err != nil || got != "accept" || <-asked != "may I?" {
			t.Errorf("%q %v", got, err)
		}
		params := &mcp.CallToolParams{Name: "steps", Arguments: map[string]any{}}
		params.SetProgressToken("mine")
		if _, err := session.CallTool(context.Background(), params); err != nil {
			t.Error(err)
		}
		for want := range 3 {
			select {
			case got := <-progress:
				if got != float64(want+1) {
					t.Errorf("progress %v, want %d", got, want+1)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("no progress")
			}
		}
		if r, err := session.ReadResource(context.Background(), &mcp.ReadResourceParams{URI: "note://one"}); err != nil || r.Contents[0].Text != "one" {
			t.Error(r, err)
		}
		d.gateway.Eventually("the client to listen", func() error {
			if n := d.gateway.Status().Streams; n == 0 {
				return errors.New("no stream is open")
			}
			return nil
		})
		mcp.AddTool(d.server, &mcp.Tool{Name: "late"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			return nil, nil, nil
		})
		select {
		case <-changed:
		case <-time.After(10 * time.Second):
			t.Error("the client did not hear of a new tool")
		}
		if err := session.Close(); err != nil || cmd.ProcessState.ExitCode() != 0 {
			t.Errorf("the end: %v, %v", err, cmd.ProcessState)
		}
		d.gateway.Eventually("the session to be deleted", func() error {
			if n := d.gateway.Status().Sessions; n > 0 && version < "2026" {
				return fmt.Errorf("%d sessions", n)
			}
			return nil
		})
	})
}

func TestARestartOfTheGatewayGoesUnnoticed(t *testing.T) {
	t.Parallel()
	revisions(t, func(t *testing.T, version string) {
		d := newDesk(t)
		changed := make(chan struct{}, 16)
		session, _ := d.client(version, &mcp.ClientOptions{
			ToolListChangedHandler: func(context.Context, *mcp.ToolListChangedRequest) { changed <- struct{}{} },
		})
		if _, err := harness.Call(session, "echo", "before"); err != nil {
			t.Fatal(err)
		}
		d.down()
		answer := make(chan error, 1)
		go func() {
			got, err := harness.Call(session, "echo", "meanwhile")
			if err == nil && got != "one: meanwhile" {
				err = errors.New(got)
			}
			answer <- err
		}()
		d.start()
		if err := <-answer; err != nil {
			t.Errorf("a call while the gateway was away: %v", err)
		}
		if _, err := harness.Call(session, "echo", "after"); err != nil {
			t.Error(err)
		}
		select {
		case <-changed:
		case <-time.After(10 * time.Second):
			t.Error("the client was not told to ask for the tools anew")
		}
		d.gateway.Eventually("the client to listen again", func() error {
			if n := d.gateway.Status().Streams; n == 0 {
				return errors.New("no stream is open")
			}
			return nil
		})
		for len(changed) > 0 {
			<-changed
		}
		mcp.AddTool(d.server, &mcp.Tool{Name: "late"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			return nil, nil, nil
		})
		select {
		case <-changed:
		case <-time.After(10 * time.Second):
			t.Error("the client did not hear of a new tool")
		}
	})
}

func TestAGatewayThatStaysAwayIsAnErrorAndNoHang(t *testing.T) {
	t.Parallel()
	revisions(t, func(t *testing.T, version string) {
		d := newDesk(t)
		session, cmd := d.client(version, nil, "--patience", "300ms")
		d.down()
		if _, err := harness.Call(session, "echo", "hi"); err == nil || !strings.Contains(err.Error(), "the gateway cannot be reached") {
			t.Errorf("%v", err)
		}
		if err := session.Close(); err != nil || cmd.ProcessState.ExitCode() != 0 {
			t.Errorf("the end: %v, %v", err, cmd.ProcessState)
		}
	})
}

func TestTheTokenFileIsReadAgainWhenTheTokenIsRefused(t *testing.T) {
	t.Parallel()
	revisions(t, func(t *testing.T, version string) {
		d := newDesk(t)
		session, _ := d.client(version, nil)
		harness.WriteFile(t, d.dir, "jwt.key", []byte(strings.Repeat("n", 32)))
		d.gateway.MustApply(d.yaml())
		if _, err := harness.Call(session, "echo", "hi"); err == nil || !strings.Contains(err.Error(), "401") {
			t.Errorf("the old token: %v", err)
		}
		harness.WriteFile(t, d.dir, "token", []byte(harness.Signed(t, strings.Repeat("n", 32))))
		if got, err := harness.Call(session, "echo", "hi"); err != nil || got != "one: hi" {
			t.Errorf("the new token: %q %v", got, err)
		}
	})
}

// An editor that begins text with a byte order mark spoils neither the gateway's files
// nor those of the command.
func TestFilesMayBeginWithAByteOrderMark(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, name := range []string{"token", "ca.crt", "client.crt", "client.key", "server.crt", "server.key", "upstream.crt", "upstream.key", "jwt.key"} {
		harness.WriteFile(t, d.dir, name, append([]byte("\ufeff"), harness.Read(t, d.dir, name)...))
	}
	d.down()
	d.gateway = harness.Start(t, d.dir, "\ufeff"+d.yaml())
	session, _ := d.client("2025-11-25", nil)
	if got, err := harness.Call(session, "echo", "hi"); err != nil || got != "one: hi" {
		t.Errorf("%q %v", got, err)
	}
}

// pipe runs the command on an input that ends, and returns its output.
func (d *desk) pipe(input string, args ...string) (lines []string, stderr string, code int) {
	d.t.Helper()
	cmd := d.command(args...)
	var out, log bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &log
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		d.t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		lines = append(lines, line)
	}
	return lines, log.String(), cmd.ProcessState.ExitCode()
}

func TestAnswersAreAwaitedWhenTheInputEnds(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	const hello = `{"jsonrpc":"2.0","id":"a","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
`
	lines, log, code := d.pipe("\n  \r\n" + `no message at all
{"jsonrpc":"2.0","id":7,"method":"x","method":"y"}
{"jsonrpc":"1.0","id":8}
` + hello + `[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hi"}}},{"jsonrpc":"2.0","id":"1","method":"ping"}]
{"jsonrpc":"2.0","id":9,"method":"tools/list"}`)
	if code != 0 {
		t.Errorf("exit code %d: %s", code, log)
	}
	got := map[string]string{}
	for _, line := range lines {
		var m struct {
			JSONRPC string
			ID      json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil || m.JSONRPC != "2.0" {
			t.Errorf("no message on stdout: %q", line)
		}
		if m.ID != nil {
			got[string(m.ID)] = line
		}
	}
	for id, want := range map[string]string{`"a"`: `"protocolVersion":"2025-11-25"`, "1": "one: hi", `"1"`: `"result":{}`, "7": "-32600", "9": `"name":"echo"`} {
		if !strings.Contains(got[id], want) {
			t.Errorf("the answer to %s is %q, want %s", id, got[id], want)
		}
	}
	if n := d.gateway.Status().Sessions; n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}

func TestTheStdioCommandEndsOnSIGTERMAndNotOnSIGHUP(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	cmd := d.command()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for id := range 3 {
		if _, err := fmt.Fprintf(in, `{"jsonrpc":"2.0","id":%d,"method":"ping"}`+"\n", id); err != nil {
			t.Fatal(err)
		}
		if line, err := lines.ReadString('\n'); err != nil || !strings.Contains(line, `"result":{}`) {
			t.Fatal(line, err)
		}
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, lines)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestMistakesInTheStdioCommandLine(t *testing.T) {
	t.Parallel()
	dir := harness.ShortDir(t)
	harness.WriteFile(t, dir, "empty", nil)
	harness.WriteFile(t, dir, "lines", []byte("a\nb\n"))
	for args, want := range map[string]string{
		"":                                "--url is needed",
		"--url mcp.example.com/mcp":       "is not a URL of scheme https",
		"--url https://u:p@x.example/":    "--url holds a user",
		"--url https://x/?access_token=y": "--url holds a token",
		"--url http://localhost/ --ca-cert empty":      "need an https URL",
		"--url https://localhost/ --client-cert empty": "belong together",
		"--url https://localhost/ --ca-cert empty":     "--ca-cert: ",
		"--url https://localhost/ --ca-cert none":      "--ca-cert: open none: no such file",
		"--url https://localhost/ --token-file none":   "reading the token",
		"--url https://localhost/ --token-file empty":  "is empty",
		"--url https://localhost/ --token-file lines":  "is no bearer token",
		"--url https://localhost/ --token abc":         "unknown flag",
	} {
		cmd := harness.Command(t, dir, append([]string{"stdio"}, strings.Fields(args)...)...)
		cmd.Env = append(os.Environ(), "HOME="+filepath.Join(dir, "home"))
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v %s", args, err, out)
		}
	}
}
