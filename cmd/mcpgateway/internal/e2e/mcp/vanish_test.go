package mcp_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
)

// open opens the stream of a GET, and ends it with ctx.
func (s *rawSession) open(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Mcp-Session-Id", s.id)
	res, err := s.hc.Do(r)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		res.Body.Close()
		return fmt.Errorf("GET: %s", res.Status)
	}
	context.AfterFunc(ctx, func() { res.Body.Close() })
	return nil
}

// asked calls a tool that asks, and returns once the question is there, which
// the client does not answer. The stream is open until ctx ends.
func (s *rawSession) asked(ctx context.Context) error {
	res, err := s.post(ctx, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ask","arguments":{"text":"hello"}}}`)
	if err != nil {
		return err
	}
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if strings.Contains(lines.Text(), "elicitation/create") {
			return nil
		}
	}
	return fmt.Errorf("no question came")
}

func (s *rawSession) delete() error {
	r, err := http.NewRequest(http.MethodDelete, s.url, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Mcp-Session-Id", s.id)
	res, err := s.hc.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	if res.StatusCode != http.StatusNoContent {
		return fmt.Errorf("DELETE: %s", res.Status)
	}
	return nil
}

// newRawSession opens a session of a client that can be asked.
func newRawSession(ctx context.Context, w *harness.World, hc *http.Client) (*rawSession, error) {
	s := &rawSession{url: "https://" + w.Address("public") + "/mcp", hc: hc}
	res, err := s.post(ctx, `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{"elicitation":{},"sampling":{}},"clientInfo":{"name":"raw","version":"1"}}}`)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	s.id = res.Header.Get("Mcp-Session-Id")
	return s, nil
}

// Hundreds of clients listen, are asked, and vanish; some end their session in
// the middle of a call. Nothing of them stays.
func TestClientsThatVanishLeaveNothingBehind(t *testing.T) {
	w := harness.NewWorld(t)
	w.Limits = "max_concurrent_streams: 1000"
	w.MustApply(w.YAML())
	hc := harness.Client(t, w.CA.PEM(), "h2")
	storm := func(n int) {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		sessions := make([]*rawSession, n)
		var wg sync.WaitGroup
		slots := make(chan struct{}, 16)
		for i := range sessions {
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				s, err := newRawSession(ctx, w, hc)
				if err == nil {
					sessions[i] = s
					err = s.open(ctx)
				}
				if err == nil && i%5 == 0 {
					err = s.asked(ctx)
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if streams := w.Status().Listeners[0].Streams; streams < n {
			t.Errorf("%d streams of %d clients", streams, n)
		}
		for i, s := range sessions {
			if i == n/2 {
				cancel() // the first half ends its sessions while it listens and is asked
			}
			if s != nil {
				if err := s.delete(); err != nil {
					t.Error(err)
				}
			}
		}
	}
	storm(20)
	hc.CloseIdleConnections()
	var before harness.Weight
	w.Eventually("the process to rest", func() (err error) { before, err = w.Weigh(); return err })
	storm(400)
	hc.CloseIdleConnections()
	t.Logf("before: %+v, after: %+v", before, w.SettlesAt(before))
}

// forgetful is a server that can be made to forget its sessions, as a restart
// does.
type forgetful struct {
	server  *mcp.Server
	handler atomic.Pointer[http.Handler]
}

func (f *forgetful) forget() {
	h := harness.Streamable(f.server)
	f.handler.Store(&h)
}

func (f *forgetful) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(*f.handler.Load()).ServeHTTP(w, r)
}

// A server that is restarted knows no session. Clients that list and read do
// not notice.
func TestRestartedServerIsNoticedByNobodyWhoReads(t *testing.T) {
	var servers []*forgetful
	w := harness.NewWorldOf(t, "/mcp", func(s *mcp.Server) http.Handler {
		f := &forgetful{server: s}
		f.forget()
		servers = append(servers, f)
		return f
	})
	w.Members = "one, two"
	w.MCP = everyVersion
	w.MustApply(w.YAML())
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	var reads atomic.Int64
	stop := make(chan struct{})
	ready := make(chan struct{}, 10)
	for i := range 10 {
		version := []string{"2025-11-25", "2026-07-28"}[i%2]
		wg.Go(func() {
			c := mcp.NewClient(&mcp.Implementation{Name: "reader", Version: "1"}, nil)
			session, err := c.Connect(ctx, &mcp.StreamableClientTransport{Endpoint: "https://" + w.Address("public") + "/mcp", HTTPClient: harness.Client(t, w.CA.PEM(), "http/1.1")},
				&mcp.ClientSessionOptions{ProtocolVersion: version})
			ready <- struct{}{}
			if err != nil {
				t.Error(err)
				return
			}
			defer session.Close()
			if got := session.InitializeResult().ProtocolVersion; got != version {
				t.Errorf("the client speaks %s, not %s", got, version)
			}
			for {
				select {
				case <-stop:
					return
				default:
				}
				tools, err := session.ListTools(ctx, nil)
				if err != nil || len(tools.Tools) == 0 {
					t.Errorf("%s: %v", version, err)
					return
				}
				if _, err := session.GetPrompt(ctx, &mcp.GetPromptParams{Name: "one__greet"}); err != nil {
					t.Errorf("%s: %v", version, err)
					return
				}
				reads.Add(1)
			}
		})
	}
	for range 10 {
		<-ready
	}
	for i := range 6 {
		servers[i%2].forget()
		seen := reads.Load()
		w.Eventually("more reads", func() error {
			if reads.Load() < seen+40 && !t.Failed() {
				return fmt.Errorf("%d", reads.Load()-seen)
			}
			return nil
		})
	}
	close(stop)
	wg.Wait()
}
