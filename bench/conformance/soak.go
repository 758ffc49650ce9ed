package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	reloadEvery = time.Second
	killEvery   = 10 * time.Second
	// recovery is how long after its server is back a cluster may still fail.
	recovery = 2 * time.Second
)

// event is what a client of the soak reports: an error, or at its end how many
// calls it made.
type event struct {
	Began int64  `json:"began"` // Unix milliseconds
	At    int64  `json:"at"`
	What  string `json:"what"` // the cluster that was called
	Error string `json:"error"`
	Calls int    `json:"calls"`
	who   string
}

// outage is when a server was away.
type outage struct {
	cluster    string
	from, till int64
}

// soakbed is two strict servers behind a gateway whose file changes.
type soakbed struct {
	testbed
	gateway string
	path    string
	process *process
	servers map[string]*process
	at      map[string]string

	mu      sync.Mutex
	outages []outage
	events  []event
}

// soak runs ten clients of four SDKs for a while, with a reload every second
// and a server killed every ten. It returns the number of errors that no killed
// server explains.
func soak(ctx context.Context, opts options, dir string) (int, error) {
	s := &soakbed{testbed: testbed{opts: opts, dir: dir}, servers: map[string]*process{}, at: map[string]string{}}
	defer s.stop()
	if err := s.begin(ctx); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, opts.soak+2*time.Minute)
	defer cancel()
	url := "http://" + s.gateway + "/mcp"
	over := make(chan struct{})
	var clients sync.WaitGroup
	for i := range 2 {
		for _, version := range []string{"2025-11-25", "2026-07-28"} {
			clients.Go(func() { s.goClient(ctx, fmt.Sprintf("go-%s-%d", version, i), version, url, over) })
		}
		for _, p := range s.peers()[:4] {
			if i == 1 && p.name != "typescript-v1" && p.name != "typescript-v2" {
				continue
			}
			clients.Go(func() { s.foreign(ctx, p, i, url, over) })
		}
	}
	err := s.unrest(ctx, opts.soak)
	close(over)
	clients.Wait()
	if err != nil {
		return 0, err
	}
	return s.judge(), nil
}

func (s *soakbed) begin(ctx context.Context) error {
	if err := makeCertificates(ctx, s.dir); err != nil {
		return err
	}
	config := gatewayConfig{dir: s.dir}
	for _, name := range []string{"one", "two"} {
		address, err := freeAddress(ctx)
		if err != nil {
			return err
		}
		s.at[name] = address
		if err := s.serveCluster(ctx, name); err != nil {
			return err
		}
		guarded, end, err := strict(ctx, s.dir, "http://"+address+"/mcp")
		if err != nil {
			return err
		}
		s.ends = append(s.ends, end, func() { s.servers[name].stop() })
		config.cluster(name, guarded, true)
	}
	config.route("/mcp", "one", "two")
	config.offer("2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26") // the servers have sessions
	address, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	s.gateway, s.path = address, filepath.Join(s.dir, "gateway.yaml")
	if err := s.write(&config, 0); err != nil {
		return err
	}
	s.process, err = start(exec.CommandContext(ctx, s.opts.gateway, "run", "-c", s.path))
	if err != nil {
		return err
	}
	s.ends = append(s.ends, s.process.stop)
	return s.process.listens(ctx, address)
}

func (s *soakbed) serveCluster(ctx context.Context, name string) error {
	p, err := start(exec.CommandContext(ctx, s.tool("bin/everything-server"), "-stateless=false", "-http="+s.at[name]))
	if err != nil {
		return err
	}
	s.servers[name] = p
	return p.listens(ctx, s.at[name])
}

// write writes the file of generation n: each has something that is new.
func (s *soakbed) write(config *gatewayConfig, n int) error {
	headers := fmt.Sprintf("    headers: {X-Generation: \"%d\"}\n", n)
	text := fmt.Sprintf("log: {level: warn, access: false}\nreload: {watch: false}\ndrain: {timeout: %dm}\nlisteners:\n  - {name: main, address: %q}\nroutes:\n%sclusters:\n%s",
		10+n%2, s.gateway, config.routes, strings.ReplaceAll(config.clusters, "    tls:", headers+"    tls:"))
	return os.WriteFile(s.path, []byte(text), 0o600)
}

// unrest reloads and kills until the time is over.
func (s *soakbed) unrest(ctx context.Context, d time.Duration) error {
	var config gatewayConfig
	text, err := os.ReadFile(s.path)
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(string(text), "routes:\n")
	config.routes, config.clusters, _ = strings.Cut(rest, "clusters:\n")
	config.clusters = strings.ReplaceAll(config.clusters, "    headers: {X-Generation: \"0\"}\n", "")
	reload, kill, end := time.NewTicker(reloadEvery), time.NewTicker(killEvery), time.After(d)
	defer reload.Stop()
	defer kill.Stop()
	for n, victim := 1, 0; ; {
		select {
		case <-end:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-s.process.done:
			return fmt.Errorf("the gateway ended: %s", s.process.out)
		case <-reload.C:
			if n++; n%5 == 0 { // the identity rotates
				if err := makeIdentity(ctx, s.dir); err != nil {
					return err
				}
			}
			if err := s.write(&config, n); err != nil {
				return err
			}
			if err := s.process.cmd.Process.Signal(syscall.SIGHUP); err != nil {
				return err
			}
		case <-kill.C:
			victim++
			if err := s.kill(ctx, []string{"one", "two"}[victim%2]); err != nil {
				return err
			}
		}
	}
}

// kill kills a server, and starts it again.
func (s *soakbed) kill(ctx context.Context, name string) error {
	from := time.Now()
	_ = s.servers[name].cmd.Process.Kill()
	<-s.servers[name].done
	if err := s.serveCluster(ctx, name); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outages = append(s.outages, outage{name, from.UnixMilli(), time.Now().Add(recovery).UnixMilli()})
	return nil
}

// foreign runs a client of another language.
func (s *soakbed) foreign(ctx context.Context, p peer, n int, url string, over <-chan struct{}) {
	who := fmt.Sprintf("%s-%d", p.name, n)
	args := append(p.command[1:len(p.command):len(p.command)], "soak", url)
	cmd := exec.CommandContext(ctx, p.command[0], args...)
	var noise tail
	cmd.Stderr = &noise
	in, err := cmd.StdinPipe()
	if err == nil {
		var out io.Reader
		if out, err = cmd.StdoutPipe(); err == nil {
			if err = cmd.Start(); err == nil {
				go func() { <-over; _ = in.Close() }()
				lines := bufio.NewScanner(out)
				for lines.Scan() {
					e := event{who: who}
					if json.Unmarshal(lines.Bytes(), &e) == nil {
						s.note(e)
					}
				}
				err = cmd.Wait()
			}
		}
	}
	if err != nil {
		s.note(event{who: who, What: "client", Error: err.Error() + ": " + noise.String()})
	}
}

// goClient is a client of the Go SDK.
func (s *soakbed) goClient(ctx context.Context, who, version, url string, over <-chan struct{}) {
	client := mcp.NewClient(&mcp.Implementation{Name: who, Version: "1"}, &mcp.ClientOptions{
		ElicitationHandler: func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"username": "u", "email": "e@example.com"}}, nil
		},
	})
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	session, err := client.Connect(ctx, &mcp.StreamableClientTransport{Endpoint: url, HTTPClient: &http.Client{Transport: transport}},
		&mcp.ClientSessionOptions{ProtocolVersion: version})
	if err != nil {
		s.note(event{who: who, What: "connect", Error: err.Error()})
		return
	}
	defer session.Close()
	calls := 0
	for {
		for _, cluster := range []string{"one", "two"} {
			for tool, args := range map[string]any{"test_simple_text": map[string]any{}, "test_tool_with_progress": map[string]any{}, "test_elicitation": map[string]any{"message": "hello"}} {
				select {
				case <-over:
					s.note(event{who: who, Calls: calls})
					return
				default:
				}
				began := time.Now().UnixMilli()
				res, err := session.CallTool(ctx, &mcp.CallToolParams{Name: cluster + "__" + tool, Arguments: args})
				switch {
				case err != nil:
					s.note(event{who: who, Began: began, At: time.Now().UnixMilli(), What: cluster, Error: err.Error()})
				case res.IsError:
					text, _ := json.Marshal(res.Content)
					s.note(event{who: who, Began: began, At: time.Now().UnixMilli(), What: cluster, Error: string(text)})
				default:
					calls++
				}
			}
		}
		if _, err := session.ListTools(ctx, nil); err != nil {
			s.note(event{who: who, At: time.Now().UnixMilli(), What: "list", Error: err.Error()})
		}
		calls++
	}
}

func (s *soakbed) note(e event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
}

// judge prints what happened and counts what no killed server explains.
func (s *soakbed) judge() int {
	explained, unexplained := 0, 0
	for _, e := range s.events {
		switch {
		case e.Error == "":
			fmt.Printf("%-20s %d calls\n", e.who, e.Calls)
		case s.explains(e):
			explained++
		default:
			unexplained++
			fmt.Printf("%s, %s: %.300s (%s)\n", e.who, e.What, e.Error, s.distance(e))
		}
	}
	fmt.Printf("%d servers killed; %d calls in flight to them failed, %d other errors\n", len(s.outages), explained, unexplained)
	return unexplained
}

func (s *soakbed) explains(e event) bool {
	for _, o := range s.outages {
		if o.cluster == e.What && e.At >= o.from && e.Began <= o.till && clear(e.Error) {
			return true
		}
	}
	return false
}

// distance tells how far an error is from the last time a server was killed.
func (s *soakbed) distance(e event) string {
	for i := len(s.outages) - 1; i >= 0; i-- {
		if o := s.outages[i]; o.from <= e.At {
			return fmt.Sprintf("after %d ms, %d ms after %s was killed", e.At-e.Began, e.At-o.from, o.cluster)
		}
	}
	return fmt.Sprintf("after %d ms", e.At-e.Began)
}

// clear reports whether an error says what became of the call.
func clear(text string) bool {
	for _, reason := range []string{
		"could not be reached", "the connection to the server was lost", "no healthy upstream",
		"Bad Gateway", "Service Unavailable", "Gateway Timeout", // all that the Go SDK shows of an answer with such a status
	} {
		if strings.Contains(text, reason) {
			return true
		}
	}
	return false
}
