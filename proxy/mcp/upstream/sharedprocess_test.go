package upstream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/clusters/process"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// statelessServer is a stdio server of both eras that notes each start. Its
// tool "wait" is answered by a call of "go" or by a cancellation, "exit" ends
// it, and "hang" makes it deaf.
func statelessServer(dir string) {
	note := func(text string) {
		notes, err := os.OpenFile(filepath.Join(dir, "notes"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			panic(err)
		}
		defer notes.Close()
		fmt.Fprintln(notes, text)
	}
	note("start")
	var waiting []jsonrpc.ID
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		m, err := jsonrpc.Parse(in.Bytes())
		if err != nil {
			panic(err)
		}
		result := func(text string) { fmt.Println(string(jsonrpc.NewResult(m.ID(), []byte(text)))) }
		switch m.Method() {
		case "server/discover":
			result(`{"supportedVersions":["2026-07-28","2025-11-25"],"capabilities":{"tools":{"listChanged":true}}}`)
		case "initialize":
			result(`{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"both","version":"1"}}`)
		case "notifications/cancelled":
			note("cancelled")
		case "subscriptions/listen":
			note("listen")
			fmt.Printf(`{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":%s}}}`+"\n", m.ID().Raw())
		case "tools/call":
			switch m.Params().Get("name").String() {
			case "exit":
				os.Exit(3)
			case "null":
				fmt.Println(`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}`)
				continue
			case "noise":
				fmt.Println(`Traceback: {"jsonrpc"`)
			case "lists":
				fmt.Println(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
			case "hang":
				time.Sleep(time.Hour)
			case "wait":
				waiting = append(waiting, m.ID())
				continue
			case "go":
				for _, id := range waiting {
					fmt.Println(string(jsonrpc.NewResult(id, nil)))
				}
				waiting = nil
			case "log":
				fmt.Printf(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s}}`+"\n", m.Params().Get("_meta", "progressToken").Raw())
				fmt.Println(`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}`)
			}
			result(fmt.Sprintf(`{"pid":%d}`, os.Getpid()))
		default:
			if m.Kind() == jsonrpc.Request {
				result("{}")
			}
		}
	}
}

// statelessCommand is a cluster of a statelessServer, and how often it has
// noted a word.
func statelessCommand(t *testing.T, change ...func(*clusters.Config)) (*clusters.Cluster, *clusters.Endpoint, func(word string) int) {
	dir := t.TempDir()
	c, e := cluster(t, func(cfg *clusters.Config) {
		cfg.Command = []string{os.Args[0], "stdio-stateless", dir}
		for _, f := range change {
			f(cfg)
		}
	})
	return c, e, func(word string) int {
		b, err := os.ReadFile(filepath.Join(dir, "notes"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
		n := 0
		for _, line := range strings.Fields(string(b)) {
			if line == word {
				n++
			}
		}
		return n
	}
}

// invoke calls a tool of a statelessServer.
func (s *session) invoke(ctx context.Context, tool string, on func(*jsonrpc.Message)) error {
	id := s.NextID()
	_, err := s.Call(ctx, jsonrpc.NewRequest(id, "tools/call", fmt.Appendf(nil, `{"name":%q,"_meta":{"progressToken":%s}}`, tool, id.Raw())), id, on)
	return err
}

func sharing(known *Client, change ...func(*settings)) func(*settings) {
	return func(o *settings) {
		o.Modern, o.client, o.Backoff, o.OnIgnored = true, known, new(process.Backoff), nil
		for _, f := range change {
			f(o)
		}
	}
}

func TestAServerWithoutSessionsHasOneProcessForAll(t *testing.T) {
	c, e, noted := statelessCommand(t)
	known := new(Client)
	p := (&Prober{Client: known}).NewProbe(c, e)
	defer p.Close(context.Background())
	var wg sync.WaitGroup
	var mu sync.Mutex
	var all []*session
	for range 20 {
		wg.Go(func() {
			s, err := open(t, c, e, sharing(known))
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			all = append(all, s)
			mu.Unlock()
			progress := 0
			for range 20 {
				if err := s.invoke(t.Context(), "log", func(m *jsonrpc.Message) {
					if m.Method() == "notifications/progress" {
						progress++
					}
				}); err != nil {
					t.Error(err)
				}
			}
			if progress != 20 {
				t.Errorf("progress of %d calls is heard, want 20", progress)
			}
		})
	}
	wg.Wait()
	if err := p.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if n := noted("start"); n != 1 {
		t.Errorf("%d processes", n)
	}
	// The last one to leave ends it.
	for _, s := range all {
		s.Close(t.Context())
	}
	if n := e.Status().Processes; n != 1 {
		t.Errorf("%d processes run while the health check has one", n)
	}
	p.Close(t.Context())
	if n := e.Status().Processes; n != 0 {
		t.Errorf("%d processes run", n)
	}
	if err := mustOpen(t, c, e, sharing(known)).invoke(t.Context(), "x", nil); err != nil || noted("start") != 2 {
		t.Errorf("%d processes, %v", noted("start"), err)
	}
}

// What a server says without saying to whom could be another's.
func TestLogOfASharedProcessReachesItsOnlyCallerAlone(t *testing.T) {
	c, e, _ := statelessCommand(t)
	known := new(Client)
	a, b := mustOpen(t, c, e, sharing(known)), mustOpen(t, c, e, sharing(known))
	heard := func(s *session) (n int) {
		if err := s.invoke(t.Context(), "log", func(m *jsonrpc.Message) {
			if m.Method() == "notifications/message" {
				n++
			}
		}); err != nil {
			t.Error(err)
		}
		return n
	}
	if n := heard(a); n != 1 {
		t.Errorf("%d messages alone", n)
	}
	done := make(chan error)
	go func() {
		done <- a.invoke(t.Context(), "wait", func(m *jsonrpc.Message) { t.Errorf("another's %s", m.Raw()) })
	}()
	testkit.Eventually(t, "the call", func() bool { return a.Busy() == 1 })
	if n := heard(b); n != 0 {
		t.Errorf("%d messages beside another call", n)
	}
	if err := b.invoke(t.Context(), "go", nil); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := heard(a); n != 0 {
		t.Errorf("%d messages, which another's call may have caused", n)
	}
	if len(a.messages)+len(b.messages) != 0 {
		t.Error("a message that is of no call is heard")
	}
	// A client that wants them has a process to itself.
	alone := mustOpen(t, c, e, sharing(known, func(o *settings) { o.Alone = true }))
	if n := heard(alone); n != 1 || alone.shares() {
		t.Errorf("%d messages in a process of its own", n)
	}
}

func TestAllWhoShareAProcessHearOfItsLists(t *testing.T) {
	c, e, _ := statelessCommand(t)
	known := new(Client)
	a, b := mustOpen(t, c, e, sharing(known)), mustOpen(t, c, e, sharing(known))
	for _, s := range []*session{a, b} {
		if err := s.invoke(t.Context(), "x", nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.invoke(t.Context(), "lists", func(*jsonrpc.Message) {}); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*session{a, b} {
		if m := <-s.messages; m.Method() != "notifications/tools/list_changed" {
			t.Errorf("%s", m.Raw())
		}
	}
}

// A client that makes the server say what cannot be understood ends no calls of
// the others.
func TestASharedProcessThatIsMisledEndsNoOtherCalls(t *testing.T) {
	c, e, _ := statelessCommand(t)
	known := new(Client)
	a, b := mustOpen(t, c, e, sharing(known)), mustOpen(t, c, e, sharing(known))
	done := make(chan error)
	go func() { done <- a.invoke(t.Context(), "wait", nil) }()
	calls := &a.transport.(*member).transport.(*stdio).calls
	testkit.Eventually(t, "the call is in flight", func() bool {
		calls.mu.Lock()
		defer calls.mu.Unlock()
		return len(calls.by) == 1
	})
	id := b.NextID()
	m, err := b.Call(t.Context(), jsonrpc.NewRequest(id, "tools/call", []byte(`{"name":"null"}`)), id, nil)
	if err != nil || m.ErrorMessage() != "Parse error" {
		t.Errorf("the call that is not understood: %v, %v", m, err)
	}
	if err := b.invoke(t.Context(), "noise", nil); err != nil {
		t.Error(err)
	}
	if err := b.invoke(t.Context(), "go", nil); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Errorf("the other call: %v", err)
	}
}

func TestASessionThatLeavesASharedProcessCancelsItsCalls(t *testing.T) {
	c, e, noted := statelessCommand(t)
	known := new(Client)
	a, b := mustOpen(t, c, e, sharing(known)), mustOpen(t, c, e, sharing(known))
	a.StartListening()
	testkit.Eventually(t, "the subscription", func() bool { return noted("listen") == 1 })
	done := make(chan error)
	go func() { done <- a.invoke(t.Context(), "wait", nil) }()
	testkit.Eventually(t, "the call", func() bool { return a.Busy() == 1 })
	a.Close(t.Context())
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("the call ended with %v", err)
	}
	testkit.Eventually(t, "the call and the subscription are cancelled", func() bool { return noted("cancelled") == 2 })
	if err := b.invoke(t.Context(), "x", nil); err != nil || noted("start") != 1 {
		t.Errorf("%d processes, %v", noted("start"), err)
	}
}

func TestASharedProcessThatCrashesSoonIsSharedNoMore(t *testing.T) {
	c, e, noted := statelessCommand(t)
	known := new(Client)
	var guilty settings
	guilty.Init = []byte(initParams)
	sharing(known)(&guilty)
	same := func(o *settings) { *o = guilty }
	bystander := mustOpen(t, c, e, sharing(known))
	crasher := mustOpen(t, c, e, same)
	if err := crasher.invoke(t.Context(), "exit", nil); !errors.Is(err, ErrSessionLost) {
		t.Errorf("the call that makes it crash: %v", err)
	}
	if err := <-bystander.closed; !errors.Is(err, ErrSessionLost) {
		t.Errorf("the other session ends with %v", err)
	}
	// The one that did it was alone, and has to wait.
	testkit.Eventually(t, "the session that makes it crash is delayed", func() bool {
		now, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		return e.Await(now, guilty.Backoff) != nil
	})
	crasher.Close(t.Context())
	bystander = mustOpen(t, c, e, sharing(known))
	done := make(chan error)
	go func() { done <- bystander.invoke(t.Context(), "wait", nil) }()
	testkit.Eventually(t, "the call", func() bool { return bystander.Busy() == 1 })
	crasher = mustOpen(t, c, e, same)
	if err := crasher.invoke(t.Context(), "exit", nil); !errors.Is(err, ErrSessionLost) {
		t.Errorf("the call that makes it crash again: %v", err)
	}
	crasher.Close(t.Context())
	if err := bystander.invoke(t.Context(), "go", nil); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil || noted("start") != 3 {
		t.Errorf("the call of another session: %v; %d starts", err, noted("start"))
	}
	// It is shared again after a while, and the health check moves there.
	p := (&Prober{Client: known}).NewProbe(c, e).(*probe)
	defer p.Close(context.Background())
	check := func() {
		if err := p.Check(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if check(); p.session.shares() {
		t.Error("the health check shares a process")
	}
	known.shared.mu.Lock()
	clear(known.shared.apart)
	known.shared.mu.Unlock()
	if check(); !p.session.shares() {
		t.Error("the health check keeps its own process")
	}
}

func TestTheCrashOfASharedProcessDelaysNobodyWhoMayBeInnocent(t *testing.T) {
	c, e, _ := statelessCommand(t)
	known := new(Client)
	a, b := mustOpen(t, c, e, sharing(known)), mustOpen(t, c, e, sharing(known))
	done := make(chan error)
	go func() { done <- a.invoke(t.Context(), "wait", nil) }()
	testkit.Eventually(t, "the call", func() bool { return a.Busy() == 1 })
	if err := b.invoke(t.Context(), "exit", nil); !errors.Is(err, ErrSessionLost) {
		t.Errorf("the call that makes it crash: %v", err)
	}
	if err := <-done; !errors.Is(err, ErrSessionLost) {
		t.Errorf("the other call: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 900*time.Millisecond) // the shortest delay is longer
	defer cancel()
	for _, s := range []*session{a, b} {
		if err := e.Await(ctx, s.backoff); err != nil {
			t.Errorf("a session has to wait: %v", err)
		}
	}
}

func TestASharedProcessThatDoesNotAnswerIsLeft(t *testing.T) {
	for _, most := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d processes", most), func(t *testing.T) {
			t.Parallel()
			c, e, noted := statelessCommand(t, func(cfg *clusters.Config) { cfg.MaxProcesses = most })
			known := new(Client)
			p := (&Prober{Client: known}).NewProbe(c, e)
			defer p.Close(context.Background())
			check := func() error {
				ctx, cancel := context.WithTimeout(t.Context(), 600*time.Millisecond)
				defer cancel()
				return p.Check(ctx)
			}
			testkit.Eventually(t, "a healthy start", func() bool { return check() == nil })
			a, idle := mustOpen(t, c, e, sharing(known)), mustOpen(t, c, e, sharing(known))
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- a.invoke(ctx, "hang", nil) }()
			testkit.Eventually(t, "the call", func() bool { return a.Busy() == 1 })
			testkit.Eventually(t, "the idle session to be told to move", func() bool { _ = check(); return idle.Err() != nil })
			if a.Err() != nil {
				t.Error("the session with a call is lost")
			}
			if most == 1 {
				cancel()
				<-done
				a.Close(t.Context())
				idle.Close(t.Context())
				p.Close(t.Context())
			}
			next := mustOpen(t, c, e, sharing(known))
			if err := next.invoke(t.Context(), "x", nil); err != nil || noted("start") != 2 {
				t.Errorf("%d starts, %v", noted("start"), err)
			}
			cancel()
			if most == 2 {
				<-done
			}
		})
	}
}

func TestASharedProcessAtRestGivesItsPlaceToAnother(t *testing.T) {
	c, e, noted := statelessCommand(t, func(cfg *clusters.Config) { cfg.MaxProcesses = 1 })
	known := new(Client)
	a := mustOpen(t, c, e, sharing(known))
	if err := a.invoke(t.Context(), "x", nil); err != nil {
		t.Fatal(err)
	}
	// An older client of a server of both eras begins a session.
	old := mustOpen(t, c, e, func(o *settings) { o.client = known })
	if old.Server().Modern() || old.invoke(t.Context(), "x", nil) != nil {
		t.Errorf("the older client speaks %s", old.Server().Version)
	}
	if err := a.invoke(t.Context(), "x", nil); !errors.Is(err, ErrSessionLost) || !Repeatable(err) {
		t.Errorf("the session whose process has gone: %v", err)
	}
	old.Close(t.Context())
	b := mustOpen(t, c, e, sharing(known))
	if err := b.invoke(t.Context(), "x", nil); err != nil || noted("start") != 3 {
		t.Errorf("%d starts, %v", noted("start"), err)
	}
}

func TestNoSessionJoinsASharedProcessThatIsBeingStopped(t *testing.T) {
	c, e, _ := statelessCommand(t, func(cfg *clusters.Config) { cfg.MaxProcesses = 1 })
	known := new(Client)
	a := mustOpen(t, c, e, sharing(known))
	id := a.NextID()
	m, err := a.Call(t.Context(), jsonrpc.NewRequest(id, "tools/call", []byte(`{"name":"x"}`)), id, nil)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(m.Result().Get("pid").Raw()))
	if err != nil {
		t.Fatal(err)
	}
	known.shared.mu.Lock()
	h := known.shared.by[e]
	known.shared.mu.Unlock()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil { // it cannot end yet
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		_, err := open(t, c, e, func(o *settings) { o.client = known }) // takes its place
		done <- err
	}()
	testkit.Eventually(t, "the process is to be stopped", h.session.Process().Taken)
	if h.enter() {
		t.Error("a session joins it")
	}
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
