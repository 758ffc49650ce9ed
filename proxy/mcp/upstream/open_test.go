package upstream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

func TestTransportIsRememberedUntilItFails(t *testing.T) {
	var current atomic.Pointer[http.Handler]
	use := func(h http.Handler) { current.Store(&h) }
	p := strictPeer(t, "http/1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*current.Load()).ServeHTTP(w, r) }))
	c, e := cluster(t, p.at("/mcp"))
	known := new(Client)
	remember := func(o *settings) { o.client = known }

	use(sseHandler(newServer(newHangs())))
	s := mustOpen(t, c, e, remember)
	posts := p.count(http.MethodPost)
	if s.Server().Kind != SSE || posts != 3 {
		t.Errorf("%v after %d POSTs", s.Server().Kind, posts)
	}
	s.Close(t.Context())
	s = mustOpen(t, c, e, remember)
	if n := p.count(http.MethodPost) - posts; s.Server().Kind != SSE || n != 2 {
		t.Errorf("%v was probed again: %d POSTs", s.Server().Kind, n)
	}
	s.Close(t.Context())

	use(streamableHandler(newServer(newHangs()), nil))
	if s = mustOpen(t, c, e, remember); s.Server().Kind != StreamableHTTP {
		t.Errorf("%v, after the server changed to Streamable HTTP", s.Server().Kind)
	}
	s.Close(t.Context())
	use(sseHandler(newServer(newHangs())))
	if s = mustOpen(t, c, e, remember); s.Server().Kind != SSE {
		t.Errorf("%v, after the server changed to HTTP+SSE", s.Server().Kind)
	}
	s.Close(t.Context())

	// Some servers of Streamable HTTP answer any GET with a stream, and end it.
	streamable := streamableHandler(newServer(newHangs()), nil)
	use(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && r.Header.Get(spec.HeaderSession) == "" {
			stream(w, ": hello\n\n")
			return
		}
		streamable.ServeHTTP(w, r)
	}))
	if s, err := open(t, c, e, remember); err != nil {
		t.Errorf("after the server changed to Streamable HTTP with streams that end: %v", err)
	} else if s.Server().Kind != StreamableHTTP {
		t.Errorf("%v, after the server changed to Streamable HTTP with streams that end", s.Server().Kind)
	}
}

func TestTransportIsProbedByTheRules(t *testing.T) {
	oldError := `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"not like this"}}`
	for name, test := range map[string]struct {
		transport string
		post      http.HandlerFunc
		want      string // of the error; GETs follow only for "neither"
		gets      int
	}{
		"404": {"auto", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, "neither Streamable HTTP", 1},
		"405": {"auto", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(405) }, "neither Streamable HTTP", 1},
		"an HTTP+SSE stream": {"auto", func(w http.ResponseWriter, _ *http.Request) {
			stream(w, "event: endpoint\ndata: /messages\n\n")
		}, "neither Streamable HTTP", 1},
		"400 with an error response": {"auto", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(400)
			_, _ = w.Write([]byte(oldError))
		}, "not like this", 0},
		"401":                      {"auto", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, "401", 0},
		"500":                      {"auto", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, "500", 0},
		"streamable_http is meant": {"streamable_http", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(405) }, "405", 0},
		"sse is meant":             {"sse", func(w http.ResponseWriter, _ *http.Request) { t.Error("POST") }, "406", 1},
	} {
		t.Run(name, func(t *testing.T) {
			var gets atomic.Int64
			p := plainPeer(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					test.post(w, r)
					return
				}
				gets.Add(1)
				w.WriteHeader(http.StatusNotAcceptable)
			})
			c, e := cluster(t, func(c *clusters.Config) { at(p.URL)(c); c.MCP.Transport = test.transport })
			_, err := open(t, c, e)
			if err == nil || !strings.Contains(err.Error(), test.want) || gets.Load() != int64(test.gets) {
				t.Errorf("%v after %d GETs; want %q after %d", err, gets.Load(), test.want, test.gets)
			}
		})
	}
}

func TestVersionIsNegotiated(t *testing.T) {
	for _, test := range []struct{ answer, forced, want string }{
		{"2025-11-25", "auto", "2025-11-25"},
		{"2025-03-26", "auto", "2025-03-26"},
		{"2024-11-05", "2025-06-18", "2024-11-05"},
		{"1.0", "2025-06-18", "2025-06-18"},
		{"1.0", "auto", ""},
		{"2026-07-28", "auto", ""},
	} {
		f := newFake(t)
		f.version = test.answer
		c, e := cluster(t, func(c *clusters.Config) { at(f.URL)(c); c.MCP.Protocol = test.forced })
		s, err := open(t, c, e)
		var refused *InitializeError
		switch {
		case test.want == "" && (!errors.As(err, &refused) || refused.Response == nil):
			t.Errorf("%+v: %v", test, err)
		case test.want == "" && len(f.seen(http.MethodDelete)) != 1:
			t.Errorf("%+v: the session was not deleted", test)
		case test.want != "" && (err != nil || s.Server().Version != test.want):
			t.Errorf("%+v: %v", test, err)
		}
	}
}

func TestUnservedRevisionIsRefused(t *testing.T) {
	c, e := cluster(t, func(c *clusters.Config) { at("http://127.0.0.1:1/")(c); c.MCP.Protocol = "2026-01-01" })
	if _, err := open(t, c, e); err == nil || !strings.Contains(err.Error(), "not supported by this version") {
		t.Errorf("open: %v", err)
	}
}

func TestOpenReportsWhatWasNotSent(t *testing.T) {
	c, e := cluster(t, at("http://127.0.0.1:1/mcp"))
	if _, err := open(t, c, e); !NotSent(err) || !Repeatable(err) {
		t.Errorf("a closed port: %v", err)
	}
}

func TestHungServerIsBoundedByContext(t *testing.T) {
	for _, transport := range []string{"auto", "sse"} {
		t.Run(transport, func(t *testing.T) {
			p := plainPeer(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // only then the end of the client shows
				if r.Method == http.MethodGet {
					stream(w, ": nothing comes\n\n")
				}
				<-r.Context().Done()
			})
			c, e := cluster(t, func(c *clusters.Config) { at(p.URL)(c); c.MCP.Transport = transport })
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, err := new(Client).Open(ctx, c, e, Options{Init: []byte(initParams)})
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Open: %v", err)
			}
		})
	}
}

func TestSessionIDMustBePrintable(t *testing.T) {
	p := plainPeer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(spec.HeaderSession, "a b")
		answerJSON(w, jsonrpc.NewResult(jsonrpc.IntID(1), []byte(`{"protocolVersion":"2025-11-25"}`)))
	})
	c, e := cluster(t, at(p.URL))
	if _, err := open(t, c, e); err == nil || !strings.Contains(err.Error(), "session id") {
		t.Errorf("open: %v", err)
	}
}

// More endpoints than are remembered push one another out one by one: what is
// known of the others is what routes offer their clients.
func TestOneEndpointTooManyForgetsOneOther(t *testing.T) {
	c, e := cluster(t, at("http://127.0.0.1:1/mcp"))
	client := new(Client)
	client.memories = map[memoryKey]spoken{}
	for i := range maxMemories {
		client.memories[memoryKey{"cluster", strconv.Itoa(i)}] = spoken{kind: SSE}
	}
	known := client.of(c, e)
	known.learn(func(k *spoken) { k.kind = StreamableHTTP })
	if n := len(client.memories); n != maxMemories {
		t.Errorf("%d endpoints are known, want %d", n, maxMemories)
	}
	if known.get().kind != StreamableHTTP {
		t.Error("what was learnt last is not known")
	}
}

// A server of HTTP+SSE that is restarted as its transport is looked for has refused
// the POST, and is gone when the GET comes. What is told is that it is gone.
func TestAServerThatGoesDownWhileItIsProbedIsNotOneThatRefuses(t *testing.T) {
	for name, get := range map[string]http.HandlerFunc{
		"without an answer":     func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"with a stream cut off": func(w http.ResponseWriter, _ *http.Request) { stream(w, ": hello\n\n"); panic(http.ErrAbortHandler) },
		"with a stream ended":   func(w http.ResponseWriter, _ *http.Request) { stream(w, ": hello\n\n") },
	} {
		t.Run(name, func(t *testing.T) {
			p := plainPeer(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					w.WriteHeader(http.StatusMethodNotAllowed)
					return
				}
				get(w, r)
			})
			c, e := cluster(t, at(p.URL))
			_, err := open(t, c, e)
			if _, refused := errors.AsType[*StatusError](err); err == nil || refused || errors.Is(err, ErrProtocol) {
				t.Error(err)
			}
		})
	}
}
