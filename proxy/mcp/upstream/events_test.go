package upstream

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

func TestEndpointOfAnotherOriginIsRefused(t *testing.T) {
	base, _ := url.Parse("https://mcp.example.com:9000/a/sse")
	for data, want := range map[string]string{
		"/messages?id=1":                      "https://mcp.example.com:9000/messages?id=1",
		"messages":                            "https://mcp.example.com:9000/a/messages",
		"?id=1":                               "https://mcp.example.com:9000/a/sse?id=1",
		" /m#x\n":                             "https://mcp.example.com:9000/m",
		"https://MCP.example.com:9000/m":      "https://MCP.example.com:9000/m",
		"//mcp.example.com:9000/m":            "https://mcp.example.com:9000/m",
		"http://mcp.example.com:9000/m":       "",
		"https://mcp.example.com/m":           "",
		"https://mcp.example.com.evil:9000/m": "",
		"//evil.example/m":                    "",
		"https://u@mcp.example.com:9000/m":    "",
		"javascript:alert(1)":                 "",
		"https:opaque":                        "",
		"%zz":                                 "",
		"/" + strings.Repeat("x", 9000):       "",
	} {
		got, err := resolve(base, data)
		if (err == nil) != (want != "") || err == nil && got.String() != want {
			t.Errorf("resolve(%.50q) = %v, %v; want %q", data, got, err, want)
		}
	}
	for a, b := range map[string]string{"https://h/": "https://h:443/", "http://h/": "http://h:80/", "http://[::1]/": "http://[::1]:80/"} {
		u, _ := url.Parse(a)
		v, _ := url.Parse(b)
		if !sameOrigin(u, v) {
			t.Errorf("%s and %s are not one origin", a, b)
		}
	}
}

func TestForeignEndpointEndsTheOpening(t *testing.T) {
	p := plainPeer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		stream(w, "event: endpoint\ndata: http://169.254.169.254/latest\n\n")
		<-r.Context().Done()
	})
	c, e := cluster(t, at(p.URL))
	if _, err := open(t, c, e); err == nil || !strings.Contains(err.Error(), "another origin: http://169.254.169.254/latest") {
		t.Errorf("open: %v", err)
	}
}

// ssePeer is an HTTP+SSE server whose messages a test handles: say writes to
// the stream, and the status is the POST's.
func ssePeer(t *testing.T, handle func(m *jsonrpc.Message, say func(string), hangUp func()) int) func(*clusters.Config) {
	said := make(chan string, 1000)
	p := plainPeer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			stream(w, ": hello\n\nevent: endpoint\ndata: /messages?session=1\n\n")
			for {
				select {
				case s := <-said:
					if s == "" {
						return
					}
					stream(w, "%s", s)
				case <-r.Context().Done():
					return
				}
			}
		}
		if r.URL.RequestURI() != "/messages?session=1" {
			t.Errorf("POST to %s", r.URL)
		}
		body := make([]byte, r.ContentLength)
		_, _ = r.Body.Read(body)
		m, err := jsonrpc.Parse(body)
		if err != nil {
			t.Errorf("%q: %v", body, err)
			return
		}
		say := func(s string) { said <- s }
		switch m.Method() {
		case "initialize":
			say("data: " + string(jsonrpc.NewResult(m.ID(), []byte(`{"protocolVersion":"2024-11-05"}`))) + "\n\n")
			w.WriteHeader(202)
		case "notifications/initialized":
			w.WriteHeader(202)
		default:
			w.WriteHeader(handle(m, say, func() { said <- "" }))
		}
	})
	return func(c *clusters.Config) { at(p.URL + "/sse")(c); c.MCP.Transport = "sse" }
}

func TestStreamOfSSEGoneIsSessionLost(t *testing.T) {
	c, e := cluster(t, ssePeer(t, func(_ *jsonrpc.Message, _ func(string), hangUp func()) int {
		hangUp()
		return 202
	}))
	s := mustOpen(t, c, e)
	_, err := s.call("tools/call")
	if !errors.Is(err, ErrSessionLost) || Repeatable(err) {
		t.Errorf("the call in flight: %v, repeatable %v", err, Repeatable(err))
	}
	if err := <-s.closed; !errors.Is(err, ErrSessionLost) {
		t.Errorf("OnClose(%v)", err)
	}
	if _, err := s.call("tools/call"); !errors.Is(err, ErrSessionLost) || !NotSent(err) {
		t.Errorf("the next call: %v", err)
	}
	if s.Rebind(e) {
		t.Error("Rebind of a session that is bound to its stream")
	}
}

func TestPostOfSSERefusedWhileTheServerSpeaks(t *testing.T) {
	c, e := cluster(t, ssePeer(t, func(_ *jsonrpc.Message, say func(string), _ func()) int {
		for range 5 {
			say("data: " + string(jsonrpc.NewNotification("notifications/message", nil)) + "\n\n")
		}
		return 500
	}))
	s := mustOpen(t, c, e)
	for range 50 {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		id := s.NextID()
		_, err := s.Call(ctx, jsonrpc.NewRequest(id, "tools/call", nil), id, func(*jsonrpc.Message) {})
		cancel()
		var status *StatusError
		if !errors.As(err, &status) || status.Code != 500 {
			t.Fatalf("the call ended with %v", err)
		}
	}
}

func TestPostOfSSERefused(t *testing.T) {
	status := 404
	c, e := cluster(t, ssePeer(t, func(*jsonrpc.Message, func(string), func()) int { return status }))
	s := mustOpen(t, c, e)
	status = 403
	if _, err := s.call("x"); !errors.Is(err, ErrUnauthorized) || !Repeatable(err) || s.Err() != nil {
		t.Errorf("403: %v", err)
	}
	status = 404
	if _, err := s.call("x"); !errors.Is(err, ErrSessionLost) || !Repeatable(err) || s.Err() == nil {
		t.Errorf("404: %v", err)
	}
}

// A server may write the answer, and much before it, while it holds the POST.
func TestAnswerBeforeThePostIsTaken(t *testing.T) {
	const n = 160
	c, e := cluster(t, ssePeer(t, func(m *jsonrpc.Message, say func(string), _ func()) int {
		for range n {
			say("data: " + string(jsonrpc.NewNotification("n", nil)) + "\n\n")
		}
		say("data: " + string(jsonrpc.NewResult(m.ID(), nil)) + "\n\n")
		return 202
	}))
	s := mustOpen(t, c, e)
	id := s.NextID()
	got := 0
	if _, err := s.Call(t.Context(), jsonrpc.NewRequest(id, "x", nil), id, func(*jsonrpc.Message) { got++ }); err != nil || got != n {
		t.Errorf("%d notifications, %v", got, err)
	}
}

func TestIDsInUseAreRefused(t *testing.T) {
	c, e := cluster(t, ssePeer(t, func(m *jsonrpc.Message, say func(string), _ func()) int {
		return http.StatusAccepted
	}))
	s := mustOpen(t, c, e)
	id := s.NextID()
	go func() { _, _ = s.Call(t.Context(), jsonrpc.NewRequest(id, "x", nil), id, nil) }()
	testkit.Eventually(t, "the first call is in flight", func() bool { return s.Busy() == 1 })
	testkit.Eventually(t, "the second is refused", func() bool {
		_, err := s.Call(t.Context(), jsonrpc.NewRequest(id, "x", nil), id, nil)
		return NotSent(err)
	})
}

// What an opening that fails has read is given back to the memory budget.
func TestOpeningOfSSEThatFailsKeepsNothing(t *testing.T) {
	for name, event := range map[string]string{
		"another event first": "data: " + strings.Repeat("x", 100<<10) + "\n\n",
		"another origin":      "event: endpoint\ndata: https://elsewhere.example/" + strings.Repeat("x", 100<<10) + "\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			p := plainPeer(t, func(w http.ResponseWriter, _ *http.Request) { stream(w, "%s", event) })
			c, e := cluster(t, func(c *clusters.Config) { at(p.URL)(c); c.MCP.Transport = "sse" })
			budget := memory.New(nil)
			budget.SetLimit(1 << 30)
			if _, err := open(t, c, e, func(o *settings) { o.client.Memory = budget }); !errors.Is(err, ErrProtocol) {
				t.Fatal(err)
			}
			if charged := budget.Stats().Pressure; charged != 0 {
				t.Errorf("%d bytes stay charged", charged)
			}
		})
	}
}
