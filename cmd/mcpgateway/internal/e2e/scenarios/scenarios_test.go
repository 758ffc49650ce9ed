package scenarios_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
)

// scene is a client's session with one of the scenario servers.
type scene struct {
	*testing.T
	*mcp.ClientSession
	client *mcp.Client
	server string // the cluster's name, which says how the server is served
	by     string // the transport
	many   bool   // the route federates it with another
	modern bool   // the session is of 2026-07-28
	// What the client was told, by kind.
	progress, logs, updated, asked, acknowledged chan string
	changed                                      map[string]chan string
}

// tool returns the name of a tool or prompt of the server.
func (s *scene) tool(name string) string {
	if s.many {
		return s.server + "__" + name
	}
	return name
}

// uri returns the URI of a resource of the server.
func (s *scene) uri(uri string) string {
	rest, ui := strings.CutPrefix(uri, "ui://")
	switch {
	case !s.many:
		return uri
	case ui:
		return "ui://" + s.server + "+" + rest
	}
	return s.server + "+" + uri
}

// head is what the user sees in front of a question.
func (s *scene) head() string {
	if s.many {
		return "[" + s.server + "] "
	}
	return ""
}

// late reports whether what the server says during a call may come after the
// call's end, when it belongs to no call: answers in JSON have no room for it,
// so it takes another stream.
func (s *scene) late() bool { return s.server == "json" }

func (s *scene) within() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	s.Cleanup(cancel)
	return ctx
}

// call calls a tool, and returns the text of its result.
func (s *scene) call(name string, in order) string {
	s.Helper()
	res, err := s.CallTool(s.within(), &mcp.CallToolParams{Name: s.tool(name), Arguments: in})
	if err != nil {
		s.Fatalf("%s: %v", name, err)
	}
	if res.IsError {
		s.Fatalf("%s failed: %s", name, textOf(res))
	}
	return textOf(res)
}

func textOf(res *mcp.CallToolResult) string {
	if len(res.Content) == 1 {
		if text, ok := res.Content[0].(*mcp.TextContent); ok {
			return text.Text
		}
	}
	return fmt.Sprintf("%+v", res.Content)
}

// told waits until the server was told what is named.
func (s *scene) told(what string) {
	s.Helper()
	testkit.Retry(s, what, func() error {
		if lines := s.call("told", order{}); !slices.Contains(strings.Split(lines, "\n"), what) {
			return fmt.Errorf("the server was told\n%s", lines)
		}
		return nil
	})
}

// next waits for what the client is told next; want is for the failure's text.
func (s *scene) next(from chan string, want string) (got string) {
	s.Helper()
	select {
	case got = <-from:
	case <-time.After(20 * time.Second):
		s.Fatalf("the client was not told %q", want)
	}
	return got
}

// expect waits until the client is told each of these, and nothing between.
func (s *scene) expect(from chan string, want ...string) {
	s.Helper()
	for _, want := range want {
		if got := s.next(from, want); got != want {
			s.Fatalf("the client was told %q, want %q", got, want)
		}
	}
}

func (s *scene) options() *mcp.ClientOptions {
	queue := func() chan string { return make(chan string, 1000) }
	s.progress, s.logs, s.updated, s.asked, s.acknowledged = queue(), queue(), queue(), queue(), queue()
	s.changed = map[string]chan string{"tools": queue(), "prompts": queue(), "resources": queue()}
	return &mcp.ClientOptions{
		ToolListChangedHandler:     func(context.Context, *mcp.ToolListChangedRequest) { s.changed["tools"] <- "tools" },
		PromptListChangedHandler:   func(context.Context, *mcp.PromptListChangedRequest) { s.changed["prompts"] <- "prompts" },
		ResourceListChangedHandler: func(context.Context, *mcp.ResourceListChangedRequest) { s.changed["resources"] <- "resources" },
		ResourceUpdatedHandler:     func(_ context.Context, r *mcp.ResourceUpdatedNotificationRequest) { s.updated <- r.Params.URI },
		LoggingMessageHandler: func(_ context.Context, r *mcp.LoggingMessageRequest) {
			s.logs <- fmt.Sprint(r.Params.Level, " ", r.Params.Logger, " ", r.Params.Data)
		},
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
			p := r.Params
			s.progress <- fmt.Sprintf("%T %v: %v of %v, %s", p.ProgressToken, p.ProgressToken, p.Progress, p.Total, p.Message)
		},
		ElicitationHandler: func(_ context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			s.asked <- r.Params.Message
			return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"name": "Ann"}}, nil
		},
		CreateMessageHandler: func(ctx context.Context, r *mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) {
			s.asked <- r.Params.IncludeContext + " " + r.Params.Messages[0].Content.(*mcp.TextContent).Text
			if token := r.Params.GetProgressToken(); !s.modern && token != nil {
				if err := r.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: token, Progress: 1, Message: "thinking"}); err != nil {
					return nil, err
				}
			}
			return &mcp.CreateMessageResult{Role: "assistant", Model: "poet", Content: &mcp.TextContent{Text: "a rose"}}, nil
		},
	}
}

// stage is a gateway in front of a scenario server of each kind.
type stage struct {
	*harness.World
	kinds []string
}

// newStage serves each server alone on /KIND, and with another one on
// /two/KIND; below /modern the routes offer 2026-07-28 whatever their servers do.
func newStage(t *testing.T) *stage {
	st := &stage{harness.NewWorld(t), []string{"streamable", "json", "sse", "stateless", "stdio"}}
	server := func(kind string) *mcp.Server { return newScenarioServer(kind).Server }
	for kind, options := range map[string]*mcp.StreamableHTTPOptions{"streamable": nil, "json": {JSONResponse: true}, "stateless": {Stateless: true}} {
		s := server(kind)
		st.add(t, kind, st.Serve(t, mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, options)))
	}
	st.Path = "/sse"
	st.add(t, "sse", st.Serve(t, harness.SSE(server("sse"))))
	st.Path = "/mcp"
	st.More += fmt.Sprintf("  - name: stdio\n    command: [%q]\n    env: {%s: stdio, GORACE: atexit_sleep_ms=50}\n", os.Args[0], asScenarioServer)
	for i, kind := range st.kinds {
		two := kind + ", " + st.kinds[(i+1)%len(st.kinds)]
		for path, clusters := range map[string]string{"/" + kind: kind, "/two/" + kind: two} {
			st.Route += fmt.Sprintf(`
  - match: {path: %[1]s}
    mcp: {clusters: [%[2]s], sse: {path: %[1]s/sse}, websocket: {path: %[1]s/ws}}
  - match: {path: /modern%[1]s}
    mcp: {clusters: [%[2]s], versions: [2026-07-28, 2025-11-25]}`, path, clusters)
		}
	}
	st.MustApply(st.YAML())
	return st
}

func (st *stage) add(t *testing.T, kind string, s *harness.StrictServer) {
	st.IssueClient(t, kind, kind)
	st.More += st.Cluster(kind, s, "")
}

// visitors are the clients: the transport that they use, and their era. One of
// both eras decides by what the route offers. The first two visit all servers,
// the others some of them, since a client's transport and a server's do not
// depend on each other.
var visitors = []struct{ name, transport, era string }{
	{"legacy by streamable HTTP", "streamable", "legacy"},
	{"modern by streamable HTTP", "streamable", "modern"},
	{"legacy by HTTP+SSE", "sse", "legacy"},
	{"legacy by stdio", "stdio", "legacy"},
	{"legacy by WebSocket", "websocket", "legacy"},
	{"both eras by streamable HTTP", "streamable", "both"},
	{"modern by stdio", "stdio", "modern"},
	{"both eras by stdio", "stdio", "both"},
}

// offersModern reports whether a route offers 2026-07-28 by itself, as it does where
// all its servers speak that: the stateless one and that of stdio. newStage federates
// the stateless one with that of stdio, and that of stdio with one of sessions.
func offersModern(server string, many bool) bool {
	return server == "stateless" || server == "stdio" && !many
}

// visit opens a session.
func (st *stage) visit(t *testing.T, server string, many bool, transport, era string) *scene {
	t.Helper()
	path, version := "/"+server, ""
	if many {
		path = "/two" + path
	}
	switch era {
	case "legacy":
		version = "2025-11-25"
	case "modern":
		path, version = "/modern"+path, "2026-07-28"
	}
	var tr mcp.Transport
	switch transport {
	case "streamable":
		tr = &mcp.StreamableClientTransport{Endpoint: st.URL(path), HTTPClient: harness.Client(t, st.CA.PEM(), "h2")}
	case "sse":
		tr = &mcp.SSEClientTransport{Endpoint: st.URL(path + "/sse"), HTTPClient: harness.Client(t, st.CA.PEM(), "h2")}
	case "websocket":
		tr = harness.OverWebSocket(st.WebSocket(t, path+"/ws", ""))
	case "stdio":
		tr = &mcp.CommandTransport{Command: harness.Command(t, st.Dir, "stdio", "--url", st.URL(path), "--ca-cert", "ca.crt")}
	}
	s := &scene{T: t, server: server, by: transport, many: many, modern: era == "modern" || era == "both" && offersModern(server, many)}
	s.client = mcp.NewClient(&mcp.Implementation{Name: "visitor", Version: "1"}, s.options())
	s.client.AddRoots(&mcp.Root{URI: "file:///home"})
	s.client.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, r mcp.Request) (mcp.Result, error) {
			if p, ok := r.GetParams().(*mcp.SubscriptionsAcknowledgedParams); ok {
				n := p.Notifications
				s.acknowledged <- fmt.Sprint(n.ToolsListChanged, n.PromptsListChanged, n.ResourcesListChanged, n.ResourceSubscriptions)
			}
			return next(ctx, method, r)
		}
	})
	var err error
	if s.ClientSession, err = s.client.Connect(t.Context(), tr, &mcp.ClientSessionOptions{ProtocolVersion: version}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if got := s.InitializeResult().ProtocolVersion; s.modern != (got == "2026-07-28") {
		var found []string
		for _, c := range st.Status().Clusters {
			for _, e := range c.Endpoints {
				found = append(found, c.Name+": "+e.Protocol)
			}
		}
		t.Fatalf("the session is of %s; that it is of 2026-07-28 was expected to be %v, by the client's era and by offersModern. The gateway found the servers to speak\n%s", got, s.modern, strings.Join(found, "\n"))
	}
	if s.modern {
		s.expect(s.acknowledged, "true true true []")
	}
	return s
}

// acts are the scenarios. Those that are knowing need a server that keeps a
// session, or is told with each call what the client can do.
var acts = []struct {
	name    string
	play    func(*scene)
	knowing bool
}{
	{name: "calls", play: (*scene).calls},
	{name: "pings", play: (*scene).pings},
	{name: "logging", play: (*scene).logging, knowing: true},
	{name: "countdown", play: (*scene).countdown},
	{name: "questions", play: (*scene).questions, knowing: true},
	{name: "roots", play: (*scene).roots, knowing: true},
	{name: "prompts", play: (*scene).prompts},
	{name: "resources", play: (*scene).resources},
	{name: "completion", play: (*scene).completion},
	{name: "links", play: (*scene).links},
	{name: "errors", play: (*scene).errors},
	{name: "changes", play: (*scene).changes, knowing: true},
	{name: "subscriptions", play: (*scene).subscriptions, knowing: true},
	{name: "cancellation", play: (*scene).cancellation, knowing: true},
}

func TestScenarios(t *testing.T) {
	t.Parallel()
	st := newStage(t)
	for i, server := range st.kinds {
		for j, many := range []bool{false, true} {
			for k, v := range visitors {
				if k > 1 && (i+j+k)%4 > 0 {
					continue
				}
				t.Run(fmt.Sprintf("%s, federation %v, %s", server, many, v.name), func(t *testing.T) {
					s := st.visit(t, server, many, v.transport, v.era)
					for _, act := range acts {
						if act.knowing && server == "stateless" && !s.modern {
							continue
						}
						t.Run(act.name, func(t *testing.T) {
							s.T = t
							act.play(s)
						})
					}
				})
			}
		}
	}
}
