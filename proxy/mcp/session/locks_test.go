package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/slot"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

// TestThePartsOfASessionDoNotWaitForEachOther has all that takes a lock of a
// session happen at once: with -race it finds what is read without one, and a
// circle of locks by not ending.
func TestThePartsOfASessionDoNotWaitForEachOther(t *testing.T) {
	server := func() string {
		return newScript(t, func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
			if m.Method() == spec.ToolsList {
				answer(w, m, `{"tools":[{"name":"steps","inputSchema":{"type":"object"}}]}`)
				return
			}
			w.Header().Set("Content-Type", "text/event-stream")
			for _, said := range [][]byte{
				jsonrpc.NewNotification(spec.NotificationProgress, []byte(`{"progressToken":`+string(m.Params().Get("_meta", "progressToken").Raw())+`,"progress":1}`)),
				jsonrpc.NewNotification(spec.NotificationToolsChanged, nil),
				jsonrpc.NewRequest(jsonrpc.IntID(1), spec.RootsList, nil),
				jsonrpc.NewResult(m.ID(), []byte(`{"content":[]}`)),
			} {
				_, _ = fmt.Fprintf(w, "data: %s\n\n", said)
				_ = http.NewResponseController(w).Flush()
				time.Sleep(time.Millisecond)
			}
		})
	}
	f := newFront(t, nil, server(), server())
	s := f.open()
	const rounds = 40
	var wg sync.WaitGroup
	var half sync.WaitGroup // until each has made half of its rounds
	for _, op := range []func(n int){
		func(n int) { f.commit(1+n%2, nil) },
		func(n int) { f.post(s, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/list"}`, n)) },
		func(n int) {
			f.post(s, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"alpha__steps","_meta":{"progressToken":1}}}`, n))
		},
		func(n int) {
			f.post(s, fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%d}}`, n))
			f.post(s, `{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`)
		},
		func(int) {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
			defer cancel()
			f.listen(ctx, s)
		},
		func(int) {
			s.outlets.changed(spec.ListChanges()...)
			s.outlets.tell([]byte("{}"), nil)
			s.outlets.flush()
		},
		func(int) {
			f.all.sweepSession(s.session, time.Now())
			f.all.relieve()
			f.all.byLastUse()
			f.all.Stats()
		},
		func(int) {
			for _, p := range s.servers.all() {
				p.Revive()
				s.mapper(p.Cluster())
				p.Shareable()
			}
			s.servers.startListening()
		},
	} {
		half.Add(1)
		wg.Go(func() {
			for n := range rounds {
				if n == rounds/2 {
					half.Done()
				}
				op(n)
			}
		})
	}
	wg.Go(func() {
		half.Wait()
		s.end("test", errEnded) // while the rest goes on
	})
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		var stacks strings.Builder
		_ = pprof.Lookup("goroutine").WriteTo(&stacks, 1)
		t.Fatalf("it does not end:\n%s", stacks.String())
	}
	err := s.servers.at("gamma").Use(within(t), &slot.Call{Generation: &f.route.Load().slots}, func(*upstream.Session) error { return nil })
	if !errors.Is(err, errEnded) {
		t.Errorf("a session that has ended reaches a server: %v", err)
	}
	if s.outlets.listening() || s.life.spawn(func() {}) {
		t.Error("a session that has ended takes something")
	}
}

// A place of a cluster that has left the route opens nothing, and is not kept.
func TestARemovedClusterHasNoPlaceInASession(t *testing.T) {
	server := newScript(t, func(http.ResponseWriter, *http.Request, *jsonrpc.Message) {})
	f := newFront(t, nil, server, server)
	s := f.open()
	beta := s.servers.at("beta")
	f.commit(1, nil)
	if all := s.servers.all(); len(all) != 1 || all[0].Cluster() != "alpha" {
		t.Errorf("%d places are left", len(all))
	}
	err := beta.Use(within(t), &slot.Call{Generation: &f.route.Load().slots}, func(*upstream.Session) error { return nil })
	var said *spec.Error
	if !errors.As(err, &said) || !strings.Contains(said.Text, "beta has been removed") {
		t.Errorf("it opens an upstream session: %v", err)
	}
}

// The generation without the cluster comes while the client's session opens one there.
func TestAClusterRemovedDuringInitializeHasNoPlaceInTheSession(t *testing.T) {
	alpha := newScript(t, func(http.ResponseWriter, *http.Request, *jsonrpc.Message) {})
	target, err := url.Parse(newScript(t, func(http.ResponseWriter, *http.Request, *jsonrpc.Message) {}))
	if err != nil {
		t.Fatal(err)
	}
	var f *front
	asked := sync.OnceFunc(func() { f.commit(1, nil) })
	forward := httputil.NewSingleHostReverseProxy(target)
	beta := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked()
		forward.ServeHTTP(w, r)
	}))
	defer beta.Close()
	f = newFront(t, nil, alpha, beta.URL)
	s := f.open()
	if all := s.servers.all(); len(all) != 1 || all[0].Cluster() != "alpha" {
		t.Errorf("%d places are left", len(all))
	}
}
