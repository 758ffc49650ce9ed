package mcp

import (
	"slices"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

func TestOneClusterIsTransparent(t *testing.T) {
	srv := newServer(t, "alpha")
	g := newGateway(t, nil, srv.backend("alpha"))
	c := g.connect(nil)
	init := c.InitializeResult()
	if init.ServerInfo.Name != "alpha" || init.Instructions != "use alpha well" || init.ProtocolVersion != "2025-11-25" {
		t.Errorf("initialize: %+v", init)
	}
	ctx := within(t)
	tools, err := c.ListTools(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(tools.Tools, func(x *sdk.Tool) bool { return x.Name == "whoami" }) {
		t.Errorf("tools: %+v", tools.Tools)
	}
	if got := invoke(t, c, "whoami", nil); got != "alpha" {
		t.Error(got)
	}
	prompt, err := c.GetPrompt(ctx, &sdk.GetPromptParams{Name: "greet"})
	if err != nil || prompt.Messages[0].Content.(*sdk.TextContent).Text != "hi from alpha" {
		t.Error(prompt, err)
	}
	res, err := c.ReadResource(ctx, &sdk.ReadResourceParams{URI: "file:///a"})
	if err != nil || res.Contents[0].URI != "file:///a" {
		t.Error(res, err)
	}
	res, err = c.ReadResource(ctx, &sdk.ReadResourceParams{URI: "file:///t/7"})
	if err != nil || res.Contents[0].Text != "alpha has file:///t/7" {
		t.Error(res, err)
	}
	templates, err := c.ListResourceTemplates(ctx, nil)
	if err != nil || templates.ResourceTemplates[0].URITemplate != "file:///t/{id}" {
		t.Error(templates, err)
	}
	done, err := c.Complete(ctx, &sdk.CompleteParams{
		Ref: &sdk.CompleteReference{Type: "ref/prompt", Name: "greet"}, Argument: sdk.CompleteParamsArgument{Name: "x", Value: "v"},
	})
	if err != nil || done.Completion.Values[0] != "alpha:greet:v" {
		t.Error(done, err)
	}
	if err := c.Ping(ctx, nil); err != nil {
		t.Error(err)
	}
	if _, err := c.CallTool(ctx, &sdk.CallToolParams{Name: "nonesuch"}); err == nil || !strings.Contains(err.Error(), "nonesuch") {
		t.Errorf("unknown tool: %v", err)
	}
}
