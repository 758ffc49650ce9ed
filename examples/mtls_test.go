package examples

import (
	"bufio"
	cryptotls "crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/examples/internal/sample"
)

// demo is what `make run` starts, once its programs are built.
type demo struct {
	*program
	dir                      string // of certificates and records
	gateway, sse, streamable string // ports
}

func startDemo(t *testing.T) *demo {
	t.Helper()
	d := &demo{dir: certificates(t), gateway: freePort(t), sse: freePort(t), streamable: freePort(t)}
	d.program = run(t, []string{
		"BIN=" + bin, "RUN=" + d.dir,
		"GATEWAY_PORT=" + d.gateway, "ADMIN_PORT=" + freePort(t), "SSE_PORT=" + d.sse, "HTTP_PORT=" + d.streamable,
	}, "examples/mtls/run.sh")
	d.says("certs.sh rotate " + d.dir)
	return d
}

// commands are those that the demo prints for its user.
func (d *demo) commands() []string {
	var commands []string
	for line := range strings.Lines(d.out.String()) {
		if command, ok := strings.CutPrefix(line, "   "); ok {
			commands = append(commands, strings.TrimSpace(command))
		}
	}
	return commands
}

func shell(t *testing.T, command string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), "bash", "-c", "set -euo pipefail\n"+command)
	cmd.Dir = ".."
	cmd.WaitDelay = time.Second
	return cmd
}

func TestTheDemosThreeCommandsWork(t *testing.T) {
	d := startDemo(t)
	commands := d.commands()
	if len(commands) != 3 {
		t.Fatalf("%d commands printed, want 3:\n%s", len(commands), d.out)
	}
	list, watch, rotate := commands[0], strings.Replace(commands[1], `"seconds":60`, `"seconds":4`, 1), commands[2]

	out, err := shell(t, list).CombinedOutput()
	if err != nil || !strings.Contains(string(out), `"echo"`) || !strings.Contains(string(out), `"count"`) {
		t.Fatalf("%v listing the tools:\n%s", err, out)
	}

	stream := shell(t, watch)
	pipe, err := stream.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(pipe)
	var seen strings.Builder
	for !strings.Contains(seen.String(), "1 of 4") && lines.Scan() {
		fmt.Fprintln(&seen, lines.Text())
	}
	before := d.serial(t)
	if out, err := shell(t, rotate).CombinedOutput(); err != nil {
		t.Fatalf("%v rotating:\n%s", err, out)
	}
	eventually(t, func() error {
		if d.serial(t) == before {
			return fmt.Errorf("new connections still show the serial number %s", before)
		}
		return nil
	})
	for lines.Scan() {
		fmt.Fprintln(&seen, lines.Text())
	}
	if err := stream.Wait(); err != nil || !strings.Contains(seen.String(), "counted to 4") {
		t.Errorf("%v; the stream did not survive the rotation:\n%s", err, &seen)
	}
	for i := 1; i <= 4; i++ {
		if step := fmt.Sprintf("%d of 4", i); !strings.Contains(seen.String(), step) {
			t.Errorf("the stream lost %q:\n%s", step, &seen)
		}
	}
}

// serial is the serial number of the certificate that a new connection sees.
func (d *demo) serial(t *testing.T) string {
	t.Helper()
	// Certificates without SAN are not Go's to verify; only which one it is matters here.
	dialer := &cryptotls.Dialer{Config: &cryptotls.Config{InsecureSkipVerify: true}}
	conn, err := dialer.DialContext(t.Context(), "tcp", "127.0.0.1:"+d.gateway)
	if err != nil {
		t.Fatalf("connecting to the gateway: %v", err)
	}
	defer conn.Close()
	return conn.(*cryptotls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func TestEachServerSeesItsOwnClientCertificate(t *testing.T) {
	d := startDemo(t)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &cryptotls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	url := "https://localhost:" + d.gateway

	for prefix, want := range map[string]string{"sse": "Client", "http": "HTTP Client"} {
		eventually(t, func() error {
			resp, body := fetch(t, client, post(t, url+"/mcp",
				`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+prefix+`__whoami","arguments":{}}}`))
			if resp.StatusCode != http.StatusOK || !strings.Contains(body, `"text":"`+want+`"`) {
				return fmt.Errorf("%s__whoami: %s %s; want %q", prefix, resp.Status, body, want)
			}
			return nil
		})
	}
	// Every connection, health checks included.
	for file, want := range map[string]string{"sse-server.jsonl": "Client", "http-server.jsonl": "HTTP Client"} {
		record, err := os.ReadFile(filepath.Join(d.dir, file))
		if err != nil {
			t.Fatal(err)
		}
		count := 0
		for line := range strings.Lines(string(record)) {
			var c sample.Connection
			if err := json.Unmarshal([]byte(line), &c); err != nil {
				t.Fatalf("%s: %v in %q", file, err, line)
			}
			if count++; c.CN != want || c.Serial == "" || c.Remote == "" {
				t.Errorf("%s: %+v; want the client %q", file, c, want)
			}
		}
		if count == 0 {
			t.Errorf("%s is empty", file)
		}
	}

	resp, body := fetch(t, client, post(t, url+"/mcp/http", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`))
	if resp.StatusCode != http.StatusUnauthorized || resp.Header.Get("Www-Authenticate") == "" {
		t.Errorf("without a token: %s %v %s", resp.Status, resp.Header, body)
	}
	for _, port := range []string{d.sse, d.streamable} {
		resp, err := client.Do(get(t, "https://localhost:"+port+"/"))
		if err == nil {
			resp.Body.Close()
			t.Errorf("port %s answers %s to a client without certificate", port, resp.Status)
		}
	}
}

func TestTheDemoSurvivesHangupAndLeavesNothingBehind(t *testing.T) {
	d := startDemo(t)
	// What `kill -HUP $(pgrep -f mcpgateway)` may hit, depending on where the project lies.
	pids := append(programs(t), d.cmd.Process.Pid)
	if len(pids) != 4 {
		t.Fatalf("%d processes, want the script, two servers and the gateway", len(pids))
	}
	for range 3 {
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
				t.Fatalf("process %d: %v", pid, err)
			}
		}
	}
	if out, err := shell(t, d.commands()[0]).CombinedOutput(); err != nil || !strings.Contains(string(out), `"echo"`) {
		t.Fatalf("%v after SIGHUP:\n%s", err, out)
	}
	if after := programs(t); len(after) != 3 {
		t.Errorf("%d programs run after SIGHUP, want 3", len(after))
	}

	// With a stream open.
	stream := shell(t, d.commands()[1])
	pipe, err := stream.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(pipe); lines.Scan() && !strings.Contains(lines.Text(), "1 of 60"); {
	}
	d.signal(syscall.SIGINT)
	if code := d.wait(); code != 0 {
		t.Errorf("run.sh ended with %d", code)
	}
	noneLeft(t)
	_ = stream.Wait() // cut short, or ended cleanly: not this test's concern
}

func TestTheDemoEndsWhenAServerEnds(t *testing.T) {
	d := startDemo(t)
	for _, pid := range programs(t) {
		if exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); filepath.Base(exe) == "http-server" {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	if code := d.wait(); code != 1 {
		t.Errorf("run.sh ended with %d, want 1", code)
	}
	if !strings.Contains(d.out.String(), "http-server has ended") {
		t.Errorf("it does not say why:\n%s", d.out)
	}
	noneLeft(t)
}

func TestTheDemoEndsWhenItsScriptIsKilled(t *testing.T) {
	d := startDemo(t)
	d.signal(syscall.SIGKILL)
	d.wait()
	noneLeft(t)
}

// programs are the running processes of the programs that this test built.
func programs(t *testing.T) []int {
	t.Helper()
	exes, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, link := range exes {
		exe, err := os.Readlink(link)
		if err != nil || !strings.HasPrefix(exe, bin+"/") {
			continue
		}
		if pid, err := strconv.Atoi(regexp.MustCompile(`\d+`).FindString(link)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

func noneLeft(t *testing.T) {
	t.Helper()
	eventually(t, func() error {
		if pids := programs(t); len(pids) > 0 {
			return fmt.Errorf("processes left behind: %v", pids)
		}
		return nil
	})
}
