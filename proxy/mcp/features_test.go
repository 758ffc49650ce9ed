package mcp

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
)

// TestFeaturesOverEveryTransport runs what a client does against one server
// and against two, over each transport to the servers.
func TestFeaturesOverEveryTransport(t *testing.T) {
	transports := map[string]func(t *testing.T, name string) backend{
		"streamable_http": func(t *testing.T, name string) backend { return newServer(t, name).backend(name) },
		"sse": func(t *testing.T, name string) backend {
			return backend{name: name, endpoints: []string{newServer(t, name).sse(t)}}
		},
		"stdio": func(t *testing.T, name string) backend { return stdio(name) },
	}
	ofEveryTransport(t, transports)
	for transport, make := range transports {
		t.Run(transport+"/one", func(t *testing.T) {
			g := newGateway(t, nil, make(t, "alpha"))
			testFeatures(t, g, "", "")
		})
		t.Run(transport+"/two", func(t *testing.T) {
			b := make(t, "alpha")
			b.prefix = "a"
			g := newGateway(t, nil, b, make(t, "beta"))
			testFeatures(t, g, "a__", "alpha+")
		})
	}
}

// ofEveryTransport fails the test where it has no server of a transport that the
// configuration names.
func ofEveryTransport[S any](t *testing.T, servers map[string]S) {
	t.Helper()
	field, _ := reflect.TypeFor[clusters.MCPConfig]().FieldByName("Transport")
	for name := range strings.SplitSeq(field.Tag.Get("enum"), ",") {
		if _, ok := servers[name]; !ok && name != "auto" {
			t.Errorf("add a server of the transport %s to this test", name)
		}
	}
}

// seen collects what a client is told.
type seen struct {
	mu    sync.Mutex
	lines []string
}

func (s *seen) add(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
}

func (s *seen) has(part string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.lines, func(line string) bool { return strings.Contains(line, part) })
}

func (s *seen) options() *sdk.ClientOptions {
	return &sdk.ClientOptions{
		CreateMessageHandler: func(_ context.Context, r *sdk.CreateMessageRequest) (*sdk.CreateMessageResult, error) {
			s.add("sample %s %s", r.Params.IncludeContext, r.Params.Messages[0].Content.(*sdk.TextContent).Text)
			return &sdk.CreateMessageResult{Role: "assistant", Model: "m", Content: &sdk.TextContent{Text: "sampled"}}, nil
		},
		ElicitationHandler: func(_ context.Context, r *sdk.ElicitRequest) (*sdk.ElicitResult, error) {
			s.add("elicit %s", r.Params.Message)
			return &sdk.ElicitResult{Action: "accept", Content: map[string]any{"answer": "re: " + r.Params.Message}}, nil
		},
		LoggingMessageHandler: func(_ context.Context, r *sdk.LoggingMessageRequest) { s.add("log %v", r.Params.Data) },
		ProgressNotificationHandler: func(_ context.Context, r *sdk.ProgressNotificationClientRequest) {
			s.add("progress %T %v %v", r.Params.ProgressToken, r.Params.ProgressToken, r.Params.Progress)
		},
		ResourceUpdatedHandler: func(_ context.Context, r *sdk.ResourceUpdatedNotificationRequest) {
			s.add("updated %s", r.Params.URI)
		},
		ToolListChangedHandler: func(context.Context, *sdk.ToolListChangedRequest) { s.add("tools changed") },
	}
}

func testFeatures(t *testing.T, g *gateway, tool, uri string) {
	var got seen
	c := g.connect(got.options())
	ctx := within(t)

	tools, err := c.ListTools(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(tools.Tools, func(x *sdk.Tool) bool { return x.Name == tool+"whoami" }) {
		t.Errorf("tools: %v", tools)
	}
	if got := invoke(t, c, tool+"whoami", nil); got != "alpha" {
		t.Errorf("whoami: %s", got)
	}

	// Elicitation, sampling and roots come back to the server that asks.
	head := ""
	if tool != "" {
		head = "[alpha] "
	}
	if got := invoke(t, c, tool+"elicit", map[string]any{"person": "x"}); got != "x: accept re: "+head+"who is x?" {
		t.Errorf("elicit: %s", got)
	}
	if got := invoke(t, c, tool+"sample", nil); got != "sampled" {
		t.Errorf("sample: %s", got)
	}
	context := "allServers"
	if tool != "" {
		context = "none"
	}
	if !got.has("sample " + context + " " + head + "hello") {
		t.Errorf("sampling request: %v", got.lines)
	}

	// Progress has the client's token, in its type.
	for _, token := range []any{"tok", 7} {
		params := &sdk.CallToolParams{Name: tool + "steps"}
		params.SetProgressToken(token)
		res, err := c.CallTool(ctx, params)
		text(t, res, err)
	}
	testkit.Eventually(t, "progress", func() bool { return got.has("progress string tok 3") && got.has(" 7 3") })
	if got.has("progress string 7") {
		t.Error("a number came back as a string")
	}

	// Logging.
	if err := c.SetLoggingLevel(ctx, &sdk.SetLoggingLevelParams{Level: "debug"}); err != nil {
		t.Fatal(err)
	}
	invoke(t, c, tool+"log", nil)
	testkit.Eventually(t, "log", func() bool { return got.has("log from alpha") })

	// URIs.
	res, err := c.CallTool(ctx, &sdk.CallToolParams{Name: tool + "link"})
	if err != nil {
		t.Fatal(err)
	}
	if l := res.Content[0].(*sdk.ResourceLink).URI; l != uri+"file:///a" {
		t.Errorf("link: %s", l)
	}
	if l := res.Content[1].(*sdk.EmbeddedResource).Resource.URI; l != uri+"file:///b" {
		t.Errorf("embedded: %s", l)
	}
	resources, err := c.ListResources(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range resources.Resources {
		read, err := c.ReadResource(ctx, &sdk.ReadResourceParams{URI: r.URI})
		if err != nil || read.Contents[0].URI != r.URI {
			t.Errorf("read %s: %v %v", r.URI, read, err)
		}
	}
	templates, err := c.ListResourceTemplates(ctx, nil)
	if err != nil || templates.ResourceTemplates[0].URITemplate != uri+"file:///t/{id}" {
		t.Errorf("templates: %v %v", templates, err)
	}
	prompts, err := c.ListPrompts(ctx, nil)
	if err != nil || prompts.Prompts[0].Name != tool+"greet" {
		t.Fatalf("prompts: %v %v", prompts, err)
	}
	prompt, err := c.GetPrompt(ctx, &sdk.GetPromptParams{Name: tool + "greet"})
	if err != nil || prompt.Messages[1].Content.(*sdk.ResourceLink).URI != uri+"file:///p" {
		t.Errorf("prompt: %v %v", prompt, err)
	}
	for ref, want := range map[*sdk.CompleteReference]string{
		{Type: "ref/prompt", Name: tool + "greet"}:          "alpha:greet:v",
		{Type: "ref/resource", URI: uri + "file:///t/{id}"}: "alpha:file:///t/{id}:v",
	} {
		done, err := c.Complete(ctx, &sdk.CompleteParams{Ref: ref, Argument: sdk.CompleteParamsArgument{Name: "x", Value: "v"}})
		if err != nil || done.Completion.Values[0] != want {
			t.Errorf("complete %+v: %v %v", ref, done, err)
		}
	}
	if err := c.Ping(ctx, nil); err != nil {
		t.Error(err)
	}
	if err := c.Subscribe(ctx, &sdk.SubscribeParams{URI: uri + "file:///a"}); err != nil {
		t.Error(err)
	}
	if err := c.Unsubscribe(ctx, &sdk.UnsubscribeParams{URI: uri + "file:///a"}); err != nil {
		t.Error(err)
	}

	// Cancellation reaches the server.
	waiting, cancel := contextWithTimeout(200 * time.Millisecond)
	defer cancel()
	if _, err := c.CallTool(waiting, &sdk.CallToolParams{Name: tool + "wait"}); err == nil {
		t.Error("a cancelled call has a result")
	}
	if got := invoke(t, c, tool+"whoami", nil); got != "alpha" {
		t.Errorf("after a cancellation: %s", got)
	}
}

func contextWithTimeout(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}
