package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// way is a transport over a version of HTTP.
type way struct {
	name, protocol string
	kind           Kind
}

// ways are those that eachTransport takes.
var ways = []way{
	{"streamable HTTP over h2", "h2", StreamableHTTP},
	{"streamable HTTP over http/1.1", "http/1.1", StreamableHTTP},
	{"HTTP+SSE over h2", "h2", SSE},
	{"HTTP+SSE over http/1.1", "http/1.1", SSE},
	{"stdio", "", Stdio},
}

func TestEveryTransportIsKnown(t *testing.T) {
	configured := []string{"auto"}
	for kind := range kinds {
		if kind == 0 {
			continue
		}
		has := transports[kind]
		if has.name == "" || has.connect == nil {
			t.Errorf("transport %d lacks a line in transports (transport.go), or its name or connect: %+v", kind, has)
		}
		if !has.process {
			configured = append(configured, has.name)
		}
		if !slices.ContainsFunc(ways, func(w way) bool { return w.kind == kind }) {
			t.Errorf("ways (here) lacks %s", kind)
		}
	}
	field, _ := reflect.TypeFor[clusters.MCPConfig]().FieldByName("Transport")
	if enum := strings.Join(configured, ","); field.Tag.Get("enum") != enum {
		t.Errorf("the enum of MCPConfig.Transport (clusters/config.go) is %s, by transports (transport.go) it is %s", field.Tag.Get("enum"), enum)
	}
}

// eachTransport runs a test with a session over every transport, to servers of
// the official SDK; those over HTTP demand client certificates.
func eachTransport(t *testing.T, test func(t *testing.T, s *session, h *hangs)) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			h := newHangs()
			var change func(*clusters.Config)
			var p *peer
			switch way.kind {
			case StreamableHTTP:
				p = strictPeer(t, way.protocol, streamableHandler(newServer(h), nil))
				change = p.at("/mcp")
			case SSE:
				p = strictPeer(t, way.protocol, sseHandler(newServer(h)))
				change = p.at("/sse")
			case Stdio:
				change = command("stdio-server")
			default:
				t.Fatalf("eachTransport has no server of %s", way.kind)
			}
			c, e := cluster(t, change)
			s := mustOpen(t, c, e)
			if s.Server().Kind != way.kind {
				t.Fatalf("the transport is %v, want %v", s.Server().Kind, way.kind)
			}
			t.Cleanup(func() { close(h.release) }) // before the session is closed
			test(t, s, h)
			if p == nil {
				return
			}
			if seen := p.seen(); len(seen) != 1 || seen["gateway"] == 0 {
				t.Errorf("the server saw the clients %v", seen)
			}
		})
	}
}

func TestCallsOverEveryTransport(t *testing.T) {
	eachTransport(t, func(t *testing.T, s *session, _ *hangs) {
		if s.Server().Version == "" || s.Server().Result.Result().Get("serverInfo", "name").String() != "peer" {
			t.Errorf("version %q, result %s", s.Server().Version, s.Server().Result.Raw())
		}
		if got := s.mustTool("echo", `{"text":"héllo\n\u2028"}`, nil); got != "héllo\n\u2028" {
			t.Errorf("echo: %q", got)
		}
		id := s.NextID()
		m, err := s.Call(t.Context(), []byte("{\n\"jsonrpc\": \"2.0\",\r\n\"id\": "+id.Raw()+", \"method\": \"tools/call\", \"params\": {\"name\": \"none\"}}"), id, nil)
		if err != nil || m.ErrorCode() != jsonrpc.CodeInvalidParams {
			t.Errorf("an unknown tool: %v, %v", m, err)
		}
		if s.Busy() != 0 || s.Err() != nil {
			t.Errorf("busy %d, err %v", s.Busy(), s.Err())
		}
	})
}

func TestProgressComesInOrderBeforeTheAnswer(t *testing.T) {
	eachTransport(t, func(t *testing.T, s *session, _ *hangs) {
		const n = 50
		next := int64(1)
		s.mustTool("progress", fmt.Sprintf(`{"n":%d}`, n), func(m *jsonrpc.Message) {
			if got, _ := m.Params().Get("progress").Int(); m.Method() != "notifications/progress" || got != next {
				t.Errorf("got %s, want progress %d", m.Raw(), next)
			}
			next++
		})
		if next != n+1 {
			t.Errorf("%d notifications, want %d", next-1, n)
		}
	})
}

func TestServerAsksDuringACall(t *testing.T) {
	eachTransport(t, func(t *testing.T, s *session, _ *hangs) {
		answer := func(method, result string) func(*jsonrpc.Message) {
			return func(m *jsonrpc.Message) {
				if m.Kind() != jsonrpc.Request || m.Method() != method {
					t.Errorf("got %s, want a request %s", m.Raw(), method)
				}
				if err := s.Send(t.Context(), jsonrpc.NewResult(m.ID(), []byte(result))); err != nil {
					t.Error(err)
				}
			}
		}
		if got := s.mustTool("ask", `{"text":"sure?"}`, answer("elicitation/create", `{"action":"decline"}`)); got != "decline" {
			t.Errorf("ask: %q", got)
		}
		if got := s.mustTool("sample", `{"text":"hi"}`, answer("sampling/createMessage", `{"role":"assistant","model":"m","content":{"type":"text","text":"ho"}}`)); got != "ho" {
			t.Errorf("sample: %q", got)
		}
		if got := s.mustTool("ping", `{}`, func(m *jsonrpc.Message) { t.Errorf("the ping was shown: %s", m.Raw()) }); got != "pong" {
			t.Errorf("ping: %q", got)
		}
	})
}

func TestConcurrentCalls(t *testing.T) {
	eachTransport(t, func(t *testing.T, s *session, _ *hangs) {
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				want := fmt.Sprintf("text %d", i)
				if got, err := s.tool(t.Context(), "echo", `{"text":"`+want+`"}`, nil); got != want || err != nil {
					t.Errorf("echo %d: %q, %v", i, got, err)
				}
			})
		}
		wg.Wait()
	})
}

func TestCallIsBoundedByItsContext(t *testing.T) {
	eachTransport(t, func(t *testing.T, s *session, h *hangs) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		go func() {
			if s.Server().Kind != Stdio {
				<-h.began
			}
			for s.Busy() == 0 {
				time.Sleep(time.Millisecond)
			}
			cancel(nil)
		}()
		_, err := s.tool(ctx, "hang", `{}`, nil)
		if !errors.Is(err, context.Canceled) || Repeatable(err) && s.Server().Kind != Stdio {
			t.Errorf("a hanging call: %v, repeatable %v", err, Repeatable(err))
		}
		if _, err := s.tool(ctx, "echo", `{}`, nil); !NotSent(err) || !errors.Is(err, context.Canceled) {
			t.Errorf("a call after the end of its context: %v", err)
		}
		if got := s.mustTool("echo", `{"text":"still here"}`, nil); got != "still here" {
			t.Errorf("echo: %q", got)
		}
	})
}

func TestCancelledReachesTheServer(t *testing.T) {
	eachTransport(t, func(t *testing.T, s *session, h *hangs) {
		if s.Server().Kind == Stdio {
			return // its hang is in another process
		}
		id := s.NextID()
		failed := make(chan error)
		go func() {
			m, err := s.Call(t.Context(), jsonrpc.NewRequest(id, "tools/call", []byte(`{"name":"hang","arguments":{}}`)), id, nil)
			if err == nil && m.Kind() != jsonrpc.Response {
				err = errors.New("no response")
			}
			failed <- err
		}()
		ended := <-h.began
		if err := s.Send(t.Context(), jsonrpc.NewNotification("notifications/cancelled", []byte(`{"requestId":`+id.Raw()+`}`))); err != nil {
			t.Fatal(err)
		}
		<-ended
		if err := <-failed; err != nil {
			t.Error(err)
		}
	})
}

func TestCloseEndsCallsAndReports(t *testing.T) {
	eachTransport(t, func(t *testing.T, s *session, h *hangs) {
		failed := make(chan error)
		go func() {
			_, err := s.tool(t.Context(), "hang", `{}`, nil)
			failed <- err
		}()
		if s.Server().Kind == Stdio {
			testkit.Eventually(t, "the call is in flight", func() bool { return s.Busy() == 1 })
		} else {
			<-h.began
		}
		// The server answers DELETE only when the call has ended.
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		s.Close(ctx)
		s.Close(ctx)
		if err := <-failed; !errors.Is(err, ErrClosed) {
			t.Errorf("the call in flight: %v", err)
		}
		if err := <-s.closed; err != nil {
			t.Errorf("OnClose(%v)", err)
		}
		<-s.Done()
		if err := s.Send(t.Context(), jsonrpc.NewNotification("x", nil)); !errors.Is(err, ErrClosed) || !NotSent(err) {
			t.Errorf("Send after Close: %v", err)
		}
		s.StartListening()
	})
}

func TestWhatBelongsToNoCallComesToOnMessage(t *testing.T) {
	eachTransport(t, func(t *testing.T, s *session, _ *hangs) {
		s.StartListening()
		s.StartListening()
		// The SDK sends list_changed on the standalone stream, once there is one.
		i := 0
		testkit.Eventually(t, "list_changed", func() bool {
			i++
			s.mustTool("grow", fmt.Sprintf(`{"text":"tool%d"}`, i), nil)
			select {
			case m := <-s.messages:
				return m.Method() == "notifications/tools/list_changed"
			case <-time.After(50 * time.Millisecond):
				return false
			}
		})
	})
}

func TestJSONAnswers(t *testing.T) {
	p := strictPeer(t, "h2", streamableHandler(newServer(newHangs()), &mcp.StreamableHTTPOptions{JSONResponse: true}))
	c, e := cluster(t, p.at("/mcp"))
	s := mustOpen(t, c, e)
	if got := s.mustTool("echo", `{"text":"x"}`, nil); got != "x" {
		t.Errorf("echo: %q", got)
	}
	s.Close(t.Context())
	if p.count(http.MethodDelete) != 1 {
		t.Error("the session was not deleted")
	}
}

func TestStatelessServer(t *testing.T) {
	p := strictPeer(t, "h2", streamableHandler(newServer(newHangs()), &mcp.StreamableHTTPOptions{Stateless: true}))
	c, e := cluster(t, p.at("/mcp"))
	s := mustOpen(t, c, e)
	s.StartListening()
	if got := s.mustTool("echo", `{"text":"x"}`, nil); got != "x" {
		t.Errorf("echo: %q", got)
	}
	testkit.Eventually(t, "the server has no stream", func() bool { return p.count(http.MethodGet) == 1 })
	s.Close(t.Context())
	if p.count(http.MethodDelete) != 0 {
		t.Error("a session that does not exist was deleted")
	}
}

func TestHeadersGoWithTheCall(t *testing.T) {
	p := strictPeer(t, "http/1.1", streamableHandler(newServer(newHangs()), nil))
	c, e := cluster(t, p.at("/mcp"))
	s := mustOpen(t, c, e)
	ctx := WithHeader(t.Context(), http.Header{"Traceparent": {"00-trace"}, spec.HeaderSession: {"forged"}})
	if got, err := s.tool(ctx, "echo", `{"text":"x "}`, nil); got != "x 00-trace" || err != nil {
		t.Errorf("echo: %q, %v", got, err)
	}
}
