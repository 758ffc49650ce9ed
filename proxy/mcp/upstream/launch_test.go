package upstream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// oldServer is a stdio server that knows initialize and ping, and does to
// server/discover what it is told. It notes in a file that it started and what
// it was asked. A pipe named gate, if there is one, keeps it from starting
// until the test has opened the other end.
func oldServer(dir, discover string) {
	notes, err := os.OpenFile(filepath.Join(dir, "notes"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	fmt.Fprintln(notes, "start")
	if gate, err := os.Open(filepath.Join(dir, "gate")); err == nil {
		_, _ = io.Copy(io.Discard, gate)
	}
	asked := false
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		m, err := jsonrpc.Parse(in.Bytes())
		if err != nil {
			panic(err)
		}
		if m.Kind() == jsonrpc.Request {
			fmt.Fprintln(notes, m.Method())
		}
		switch {
		case m.Method() == "server/discover":
			asked = true
			switch discover {
			case "exits":
				os.Exit(1)
			case "hangs":
				_, _ = io.Copy(io.Discard, os.Stdin)
				return
			case "silent":
			default:
				fmt.Println(string(jsonrpc.NewError(m.ID(), -32601, "not found", nil)))
			}
		case m.Method() == "initialize" && asked && discover == "confused":
			os.Exit(1)
		case m.Method() == "initialize":
			fmt.Printf(`{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"old"}}}`+"\n", m.ID())
		case m.Kind() == jsonrpc.Request:
			fmt.Println(string(jsonrpc.NewResult(m.ID(), nil)))
		}
	}
}

// oldCommand is a cluster of an oldServer, and what was noted so far.
func oldCommand(t *testing.T, discover string, change ...func(*clusters.Config)) (*clusters.Cluster, *clusters.Endpoint, string, func() []string) {
	dir := t.TempDir()
	c, e := cluster(t, func(cfg *clusters.Config) {
		runSelf(cfg, "stdio-old", dir, discover)
		for _, f := range change {
			f(cfg)
		}
	})
	return c, e, dir, func() []string {
		b, err := os.ReadFile(filepath.Join(dir, "notes"))
		if err != nil {
			t.Error(err)
		}
		return strings.Fields(string(b))
	}
}

func TestServersThatDoNotKnowDiscoverAreInitialised(t *testing.T) {
	fresh := []string{"start", "server/discover", "start", "initialize"}
	for discover, want := range map[string][]string{
		"errs":     {"start", "server/discover", "initialize"},
		"exits":    fresh,
		"confused": slices.Insert(slices.Clone(fresh), 2, "initialize"),
		"silent":   slices.Insert(slices.Clone(fresh), 2, "ping"),
		"hangs":    fresh,
	} {
		for _, most := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s, %d processes", discover, most), func(t *testing.T) {
				t.Parallel()
				c, e, _, notes := oldCommand(t, discover, func(cfg *clusters.Config) {
					cfg.MaxProcesses = most
					if discover == "hangs" && most == 1 {
						cfg.StartTimeout = 9 * time.Second
					}
				})
				known := new(Client)
				p := (&Prober{Client: known}).NewProbe(c, e)
				defer p.Close(context.Background())
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if err := p.Check(ctx); err != nil {
					t.Fatalf("the check: %v", err)
				}
				want, protocol := want, "2025-06-18 by initialize, since "
				if most == 1 && (discover == "errs" || discover == "confused") {
					// The process is left to the first session, which initialises it.
					want, protocol = want[:2], "a revision with sessions, since "
				}
				if got := notes(); !slices.Equal(got, want) {
					t.Errorf("the server was asked %q, want %q", got, want)
				}
				if got := e.Status().Protocol; !strings.HasPrefix(got, protocol) {
					t.Errorf("the status says %q", got)
				}
				p.Close(ctx)
				s := mustOpen(t, c, e, func(o *settings) { o.Modern, o.client = true, known })
				if got := notes()[len(want):]; s.Server().Modern() || !slices.Equal(got, []string{"start", "initialize"}) {
					t.Errorf("the second session: modern %v, asked %q", s.Server().Modern(), got)
				}
			})
		}
	}
}

func TestProbeWaitsForAProcessThatStarts(t *testing.T) {
	for _, discover := range []string{"errs", "exits"} {
		t.Run(discover, func(t *testing.T) {
			c, e, dir, notes := oldCommand(t, discover)
			gate := filepath.Join(dir, "gate")
			if err := syscall.Mkfifo(gate, 0o600); err != nil {
				t.Fatal(err)
			}
			p := (&Prober{Client: new(Client)}).NewProbe(c, e)
			defer p.Close(context.Background())
			for range 3 {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
				if err := p.Check(ctx); !errors.Is(err, clusters.ErrStarting) {
					t.Fatalf("a check of a process that starts: %v", err)
				}
				cancel()
			}
			open, err := os.OpenFile(gate, os.O_WRONLY, 0) // waits for the process
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(gate); err != nil {
				t.Fatal(err)
			}
			open.Close()
			if err := p.Check(t.Context()); err != nil {
				t.Fatalf("a check of a process that has started: %v", err)
			}
			if err := p.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			want := 1
			if discover == "exits" {
				want = 2
			}
			if got := notes(); got[len(got)-1] != "ping" || strings.Count(strings.Join(got, " "), "start") != want {
				t.Errorf("the processes noted %q, want %d starts and a ping", got, want)
			}
		})
	}
}

func TestStartTimeoutEndsAProcessThatDoesNotAnswer(t *testing.T) {
	c, e, dir, _ := oldCommand(t, "errs", func(cfg *clusters.Config) { cfg.StartTimeout = 50 * time.Millisecond })
	if err := syscall.Mkfifo(filepath.Join(dir, "gate"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := open(t, c, e)
	if err == nil || !strings.Contains(err.Error(), "start_timeout") {
		t.Errorf("open: %v", err)
	}
}

func TestHTTPServersThatHangOnDiscoverAreInitialised(t *testing.T) {
	f := newFake(t)
	var discovers atomic.Int64
	f.any = func(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message) {
		switch m.Method() {
		case "server/discover":
			discovers.Add(1)
			<-r.Context().Done()
		case "initialize":
			answerJSON(w, jsonrpc.NewResult(m.ID(), fmt.Appendf(nil, fakeResult, f.version)))
		case "notifications/initialized":
			w.WriteHeader(http.StatusAccepted)
		default:
			answerJSON(w, jsonrpc.NewResult(m.ID(), nil))
		}
	}
	c, e := cluster(t, at(f.URL))
	known := new(Client)
	p := (&Prober{Client: known}).NewProbe(c, e)
	defer p.Close(context.Background())
	// The time of a check is not longer than what is waited for discover alone.
	ctx, cancel := context.WithTimeout(t.Context(), discoverTime)
	defer cancel()
	if err := p.Check(ctx); err != nil {
		t.Fatalf("the check: %v", err)
	}
	s := mustOpen(t, c, e, func(o *settings) { o.Modern, o.client = true, known })
	if s.Server().Modern() || discovers.Load() != 1 {
		t.Errorf("modern %v after %d questions", s.Server().Modern(), discovers.Load())
	}
}
