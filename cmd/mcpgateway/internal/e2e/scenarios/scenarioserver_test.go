// Package scenarios_test plays every scene of MCP between the official SDK's client
// and servers, over every transport, in both eras, alone and federated.
package scenarios_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
)

// asScenarioServer makes the test binary a scenario server on stdin and stdout.
const asScenarioServer = "MCPGATEWAY_TEST_SERVER"

func TestMain(m *testing.M) {
	if name := os.Getenv(asScenarioServer); name != "" {
		if err := newScenarioServer(name).Run(context.Background(), &mcp.StdioTransport{}); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		return
	}
	harness.Main(m)
}

// scenarioServer is an MCP server that does, as tools, all that servers do, so
// that tests can make it do so over any transport.
type scenarioServer struct {
	*mcp.Server
	name string
	mu   sync.Mutex
	told []string // what clients have told it
}

// order is the argument of the tools.
type order struct {
	Text   string `json:"text,omitempty"`
	Kind   string `json:"kind,omitempty"`
	From   int    `json:"from,omitempty"`
	Remove bool   `json:"remove,omitempty"`
}

func newScenarioServer(name string) *scenarioServer {
	s := &scenarioServer{name: name}
	s.Server = mcp.NewServer(&mcp.Implementation{Name: name, Version: "1"}, &mcp.ServerOptions{
		Capabilities: &mcp.ServerCapabilities{Logging: &mcp.LoggingCapabilities{}},
		SubscribeHandler: func(_ context.Context, r *mcp.SubscribeRequest) error {
			s.note("subscribed %s", r.Params.URI)
			return nil
		},
		UnsubscribeHandler: func(_ context.Context, r *mcp.UnsubscribeRequest) error {
			s.note("unsubscribed %s", r.Params.URI)
			return nil
		},
		RootsListChangedHandler: func(ctx context.Context, r *mcp.RootsListChangedRequest) {
			res, err := r.Session.ListRoots(ctx, nil)
			s.note("roots %s", rootsOf(res, err))
		},
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationServerRequest) {
			s.note("progress %v %v", r.Params.ProgressToken, r.Params.Message)
		},
		CompletionHandler: func(_ context.Context, r *mcp.CompleteRequest) (*mcp.CompleteResult, error) {
			p := r.Params
			values := []string{name + " " + p.Ref.Type + " " + p.Ref.Name + p.Ref.URI + " " + p.Argument.Name + "=" + p.Argument.Value}
			if p.Context != nil {
				values = append(values, "language="+p.Context.Arguments["language"])
			}
			return &mcp.CompleteResult{Completion: mcp.CompletionResultDetails{Values: values, Total: 9, HasMore: true}}, nil
		},
	})
	s.tool("say", func(_ context.Context, _ *mcp.CallToolRequest, in order) (*mcp.CallToolResult, error) {
		return said("%s: %s", name, in.Text), nil
	})
	s.tool("fail", func(_ context.Context, _ *mcp.CallToolRequest, in order) (*mcp.CallToolResult, error) {
		return nil, fmt.Errorf("%s cannot %s", name, in.Text)
	})
	s.tool("told", func(_ context.Context, _ *mcp.CallToolRequest, in order) (*mcp.CallToolResult, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		res := said("%s", strings.Join(s.told, "\n"))
		if in.Remove {
			s.told = nil
		}
		return res, nil
	})
	s.tool("wait", func(ctx context.Context, _ *mcp.CallToolRequest, in order) (*mcp.CallToolResult, error) {
		s.note("waiting %s", in.Text)
		<-ctx.Done()
		s.note("cancelled %s", in.Text)
		return nil, ctx.Err()
	})
	s.tool("log", func(ctx context.Context, r *mcp.CallToolRequest, in order) (*mcp.CallToolResult, error) {
		for _, level := range []mcp.LoggingLevel{"debug", "info", "warning", "error"} {
			if err := r.Session.Log(ctx, &mcp.LoggingMessageParams{Level: level, Logger: name, Data: in.Text}); err != nil {
				return nil, err
			}
		}
		return said("logged"), nil
	})
	s.tool("countdown", func(ctx context.Context, r *mcp.CallToolRequest, in order) (*mcp.CallToolResult, error) {
		for n := range in.From + 1 {
			if err := r.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{
				ProgressToken: r.Params.GetProgressToken(), Progress: float64(n), Total: float64(in.From), Message: fmt.Sprint(in.From-n, " left"),
			}); err != nil {
				return nil, err
			}
		}
		return said("lift off"), nil
	})
	s.asking()
	s.changing()
	s.content()
	return s
}

// tool adds a tool.
func (s *scenarioServer) tool(name string, f func(context.Context, *mcp.CallToolRequest, order) (*mcp.CallToolResult, error)) {
	mcp.AddTool(s.Server, &mcp.Tool{Name: name}, func(ctx context.Context, r *mcp.CallToolRequest, in order) (*mcp.CallToolResult, any, error) {
		res, err := f(ctx, r, in)
		return res, nil, err
	})
}

func (s *scenarioServer) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = append(s.told, fmt.Sprintf(format, args...))
}

func said(format string, args ...any) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: fmt.Sprintf(format, args...)}}}
}

func rootsOf(res *mcp.ListRootsResult, err error) string {
	if err != nil {
		return err.Error()
	}
	var uris []string
	for _, r := range res.Roots {
		uris = append(uris, r.URI)
	}
	return strings.Join(uris, " ")
}

// askClient asks the client in the way of its revision: inside the session, or by an
// answer that the client repeats its call for.
func askClient(ctx context.Context, r *mcp.CallToolRequest, request mcp.InputRequest) (mcp.InputResponse, *mcp.CallToolResult, error) {
	if res := r.Params.InputResponses["q"]; res != nil {
		return res, nil, nil
	}
	if p := r.Session.InitializeParams(); p == nil || p.ProtocolVersion >= "2026-07-28" {
		return nil, &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{"q": request}}, nil
	}
	var res mcp.InputResponse
	var err error
	switch request := request.(type) {
	case *mcp.ElicitParams:
		res, err = r.Session.Elicit(ctx, request)
	case *mcp.CreateMessageParams:
		res, err = r.Session.CreateMessage(ctx, request)
	case *mcp.ListRootsParams:
		res, err = r.Session.ListRoots(ctx, request)
	}
	return res, nil, err
}

// asking adds the tools that ask the client for something.
func (s *scenarioServer) asking() {
	questions := map[string]func(in order) mcp.InputRequest{
		"elicit": func(in order) mcp.InputRequest { return &mcp.ElicitParams{Message: in.Text} },
		"roots":  func(order) mcp.InputRequest { return &mcp.ListRootsParams{} },
		"sample": func(in order) mcp.InputRequest {
			return &mcp.CreateMessageParams{
				Meta: mcp.Meta{"progressToken": in.Text}, MaxTokens: 5, IncludeContext: "thisServer",
				Messages: []*mcp.SamplingMessage{{Role: "user", Content: &mcp.TextContent{Text: in.Text}}},
			}
		},
	}
	for name, question := range questions {
		s.tool(name, func(ctx context.Context, r *mcp.CallToolRequest, in order) (*mcp.CallToolResult, error) {
			answer, more, err := askClient(ctx, r, question(in))
			if more != nil || err != nil {
				return more, err
			}
			switch answer := answer.(type) {
			case *mcp.ElicitResult:
				return said("%s %v", answer.Action, answer.Content["name"]), nil
			case *mcp.ListRootsResult:
				return said("%s", rootsOf(answer, nil)), nil
			case *mcp.CreateMessageResult:
				return said("%s: %s", answer.Model, answer.Content.(*mcp.TextContent).Text), nil
			case *mcp.CreateMessageWithToolsResult: // as the SDK reads it of 2026-07-28
				return said("%s: %s", answer.Model, answer.Content[0].(*mcp.TextContent).Text), nil
			}
			return said("%T", answer), nil
		})
	}
}

// changing adds the tools that change what the server offers.
func (s *scenarioServer) changing() {
	s.tool("change", func(_ context.Context, _ *mcp.CallToolRequest, in order) (*mcp.CallToolResult, error) {
		switch in.Kind {
		case "tools":
			if s.RemoveTools(in.Text); !in.Remove {
				s.tool(in.Text, func(context.Context, *mcp.CallToolRequest, order) (*mcp.CallToolResult, error) {
					return said("new"), nil
				})
			}
		case "prompts":
			if s.RemovePrompts(in.Text); !in.Remove {
				s.AddPrompt(&mcp.Prompt{Name: in.Text}, s.prompt)
			}
		case "resources":
			if s.RemoveResources("file:///" + in.Text); !in.Remove {
				s.AddResource(&mcp.Resource{Name: in.Text, URI: "file:///" + in.Text}, s.read)
			}
		}
		return said("changed"), nil
	})
	s.tool("update", func(ctx context.Context, _ *mcp.CallToolRequest, in order) (*mcp.CallToolResult, error) {
		return said("updated"), s.ResourceUpdated(ctx, &mcp.ResourceUpdatedNotificationParams{URI: in.Text})
	})
}

func (s *scenarioServer) prompt(_ context.Context, r *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
	return &mcp.GetPromptResult{Description: s.name, Messages: []*mcp.PromptMessage{
		{Role: "user", Content: &mcp.TextContent{Text: "review " + r.Params.Arguments["code"]}},
	}}, nil
}

func (s *scenarioServer) read(_ context.Context, r *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
	return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{
		{URI: r.Params.URI, MIMEType: "text/plain", Text: s.name + " has " + r.Params.URI},
		{URI: r.Params.URI + "#blob", Blob: []byte{0, 1, 255}},
	}}, nil
}

// content adds prompts and resources, and a tool whose result names some.
func (s *scenarioServer) content() {
	s.AddPrompt(&mcp.Prompt{Name: "review", Description: "reviews code", Arguments: []*mcp.PromptArgument{{Name: "code", Required: true}}}, s.prompt)
	for _, uri := range []string{"file:///a", "file:///b", "ui://app/panel"} {
		s.AddResource(&mcp.Resource{Name: uri, URI: uri, MIMEType: "text/plain"}, s.read)
	}
	s.AddResourceTemplate(&mcp.ResourceTemplate{Name: "results", URITemplate: "results://{id}"}, s.read)
	s.tool("link", func(context.Context, *mcp.CallToolRequest, order) (*mcp.CallToolResult, error) {
		return &mcp.CallToolResult{
			Meta: mcp.Meta{"ui": map[string]any{"resourceUri": "ui://app/panel"}},
			Content: []mcp.Content{
				&mcp.ResourceLink{URI: "file:///a", Name: "a"},
				&mcp.EmbeddedResource{Resource: &mcp.ResourceContents{URI: "file:///b", Text: "b"}},
			},
		}, nil
	})
}
