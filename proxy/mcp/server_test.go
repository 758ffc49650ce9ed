package mcp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// server is an MCP server made with the official SDK.
type server struct {
	*sdk.Server
	http     *httptest.Server
	url      string
	requests atomic.Int64
	deletes  atomic.Int64
	gets     atomic.Int64
	// canceled receives when the tool wait is cancelled.
	canceled chan struct{}
	waiting  chan struct{}
	down     atomic.Bool
	hang     atomic.Bool
	handler  atomic.Pointer[http.Handler]
	unsubbed atomic.Int64
	subbed   atomic.Int64
	released chan struct{}
	once     sync.Once
}

func newServer(t testing.TB, name string) *server {
	s := &server{canceled: make(chan struct{}, 16), waiting: make(chan struct{}, 16), released: make(chan struct{})}
	s.Server = s.build(name)
	s.forget()
	s.http = httptest.NewServer(s)
	s.url = s.http.URL + "/mcp"
	first := s.Server
	t.Cleanup(func() {
		s.release()
		s.http.CloseClientConnections()
		s.http.Close()
		for _, srv := range []*sdk.Server{first, s.Server} {
			for session := range srv.Sessions() {
				session.Close()
			}
		}
	})
	return s
}

func (s *server) build(name string) *sdk.Server {
	srv := sdk.NewServer(&sdk.Implementation{Name: name, Version: "9"}, &sdk.ServerOptions{
		Instructions:       "use " + name + " well",
		SubscribeHandler:   func(context.Context, *sdk.SubscribeRequest) error { s.subbed.Add(1); return nil },
		UnsubscribeHandler: func(context.Context, *sdk.UnsubscribeRequest) error { s.unsubbed.Add(1); return nil },
		CompletionHandler: func(_ context.Context, r *sdk.CompleteRequest) (*sdk.CompleteResult, error) {
			return &sdk.CompleteResult{Completion: sdk.CompletionResultDetails{
				Values: []string{name + ":" + r.Params.Ref.Name + r.Params.Ref.URI + ":" + r.Params.Argument.Value},
			}}, nil
		},
	})
	type none struct{}
	say := func(format string, args ...any) (*sdk.CallToolResult, any, error) {
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: fmt.Sprintf(format, args...)}}}, nil, nil
	}
	sdk.AddTool(srv, &sdk.Tool{Name: "whoami"}, func(context.Context, *sdk.CallToolRequest, none) (*sdk.CallToolResult, any, error) {
		return say("%s", name)
	})
	var counts sync.Map // by session
	sdk.AddTool(srv, &sdk.Tool{Name: "count"}, func(_ context.Context, r *sdk.CallToolRequest, _ none) (*sdk.CallToolResult, any, error) {
		n, _ := counts.LoadOrStore(r.Session, new(atomic.Int64))
		return say("%d", n.(*atomic.Int64).Add(1))
	})
	sdk.AddTool(srv, &sdk.Tool{Name: "steps"}, func(ctx context.Context, r *sdk.CallToolRequest, _ none) (*sdk.CallToolResult, any, error) {
		for i := range 3 {
			err := r.Session.NotifyProgress(ctx, &sdk.ProgressNotificationParams{
				ProgressToken: r.Params.GetProgressToken(), Progress: float64(i + 1), Total: 3,
			})
			if err != nil {
				return nil, nil, err
			}
		}
		return say("done")
	})
	sdk.AddTool(srv, &sdk.Tool{Name: "wait"}, func(ctx context.Context, r *sdk.CallToolRequest, _ none) (*sdk.CallToolResult, any, error) {
		s.waiting <- struct{}{}
		select {
		case <-ctx.Done():
			s.canceled <- struct{}{}
			return nil, nil, ctx.Err()
		case <-s.released:
			return say("released")
		}
	})
	sdk.AddTool(srv, &sdk.Tool{Name: "log"}, func(ctx context.Context, r *sdk.CallToolRequest, _ none) (*sdk.CallToolResult, any, error) {
		err := r.Session.Log(ctx, &sdk.LoggingMessageParams{Level: "info", Data: "from " + name})
		if err != nil {
			return nil, nil, err
		}
		return say("logged")
	})
	sdk.AddTool(srv, &sdk.Tool{Name: "link"}, func(context.Context, *sdk.CallToolRequest, none) (*sdk.CallToolResult, any, error) {
		return &sdk.CallToolResult{Content: []sdk.Content{
			&sdk.ResourceLink{URI: "file:///a", Name: "a"},
			&sdk.EmbeddedResource{Resource: &sdk.ResourceContents{URI: "file:///b", Text: "b"}},
		}}, nil, nil
	})
	sdk.AddTool(srv, &sdk.Tool{Name: "die"}, func(context.Context, *sdk.CallToolRequest, none) (*sdk.CallToolResult, any, error) {
		os.Exit(3) // for servers that are processes of their own
		return nil, nil, nil
	})
	type person struct {
		Person string `json:"person"`
	}
	sdk.AddTool(srv, &sdk.Tool{Name: "elicit"}, func(ctx context.Context, r *sdk.CallToolRequest, in person) (*sdk.CallToolResult, any, error) {
		res, err := r.Session.Elicit(ctx, &sdk.ElicitParams{Message: "who is " + in.Person + "?"})
		if err != nil {
			return nil, nil, err
		}
		return say("%s: %s %v", in.Person, res.Action, res.Content["answer"])
	})
	sdk.AddTool(srv, &sdk.Tool{Name: "sample"}, func(ctx context.Context, r *sdk.CallToolRequest, _ none) (*sdk.CallToolResult, any, error) {
		res, err := r.Session.CreateMessage(ctx, &sdk.CreateMessageParams{
			IncludeContext: "allServers", MaxTokens: 5,
			Messages: []*sdk.SamplingMessage{{Role: "user", Content: &sdk.TextContent{Text: "hello"}}},
		})
		if err != nil {
			return nil, nil, err
		}
		return say("%s", res.Content.(*sdk.TextContent).Text)
	})
	sdk.AddTool(srv, &sdk.Tool{Name: "roots"}, func(ctx context.Context, r *sdk.CallToolRequest, _ none) (*sdk.CallToolResult, any, error) {
		res, err := r.Session.ListRoots(ctx, nil)
		if err != nil {
			return nil, nil, err
		}
		if len(res.Roots) == 0 {
			return nil, nil, errors.New("no roots")
		}
		return say("%s", res.Roots[0].URI)
	})
	srv.AddPrompt(&sdk.Prompt{Name: "greet"}, func(context.Context, *sdk.GetPromptRequest) (*sdk.GetPromptResult, error) {
		return &sdk.GetPromptResult{Messages: []*sdk.PromptMessage{
			{Role: "user", Content: &sdk.TextContent{Text: "hi from " + name}},
			{Role: "user", Content: &sdk.ResourceLink{URI: "file:///p", Name: "p"}},
		}}, nil
	})
	read := func(_ context.Context, r *sdk.ReadResourceRequest) (*sdk.ReadResourceResult, error) {
		return &sdk.ReadResourceResult{Contents: []*sdk.ResourceContents{{URI: r.Params.URI, Text: name + " has " + r.Params.URI}}}, nil
	}
	srv.AddResource(&sdk.Resource{URI: "file:///a", Name: "a"}, read)
	srv.AddResource(&sdk.Resource{URI: "ui://app/x", Name: "x"}, read)
	srv.AddResourceTemplate(&sdk.ResourceTemplate{URITemplate: "file:///t/{id}", Name: "t"}, read)
	return srv
}

// release lets the tool wait return.
func (s *server) release() { s.once.Do(func() { close(s.released) }) }

// forget makes the server lose its sessions, as a restart does.
func (s *server) forget() {
	current := s.Server // which a test may replace while requests are under way
	h := http.Handler(sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return current }, nil))
	s.handler.Store(&h)
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	if r.Method == http.MethodDelete {
		s.deletes.Add(1)
	}
	if r.Method == http.MethodGet {
		s.gets.Add(1)
	}
	if s.hang.Load() {
		select {
		case <-r.Context().Done():
		case <-s.released:
		}
		return
	}
	if s.down.Load() {
		panic(http.ErrAbortHandler)
	}
	(*s.handler.Load()).ServeHTTP(w, r)
}

func (s *server) backend(name string) backend {
	return backend{name: name, endpoints: []string{s.url}}
}

// sse serves the same server over HTTP+SSE.
func (s *server) sse(t testing.TB) string {
	srv := httptest.NewServer(sdk.NewSSEHandler(func(*http.Request) *sdk.Server { return s.Server }, nil))
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv.URL + "/sse"
}

// text is the first text of a result.
func text(t testing.TB, res *sdk.CallToolResult, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Content) == 0 {
		t.Fatalf("no content: %+v", res)
	}
	c, ok := res.Content[0].(*sdk.TextContent)
	if !ok {
		t.Fatalf("no text: %+v", res)
	}
	if res.IsError {
		t.Fatalf("the tool failed: %s", c.Text)
	}
	return c.Text
}

func invoke(t testing.TB, s *sdk.ClientSession, tool string, args map[string]any) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	res, err := s.CallTool(ctx, &sdk.CallToolParams{Name: tool, Arguments: args})
	return text(t, res, err)
}
