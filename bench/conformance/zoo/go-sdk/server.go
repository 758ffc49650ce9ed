package main

import (
	"context"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func serve(ctx context.Context, over string, args []string) error {
	if over == "stdio" {
		return animals().Run(ctx, &mcp.StdioTransport{})
	}
	each := func(*http.Request) *mcp.Server { return animals() }
	idle, _ := strconv.ParseFloat(os.Getenv("ZOO_IDLE"), 64) // without it sessions do not idle out
	handlers := map[string]http.Handler{
		"http": mcp.NewStreamableHTTPHandler(each, &mcp.StreamableHTTPOptions{SessionTimeout: time.Duration(idle * float64(time.Second))}),
		"sse":  mcp.NewSSEHandler(each, nil),
	}
	return http.ListenAndServe(args[0], handlers[over])
}

type words struct {
	Text string `json:"text"`
}

type period struct {
	MS int `json:"ms"`
}

func text(s string) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: s}}}
}

// animals makes the server of one session.
func animals() *mcp.Server {
	s := mcp.NewServer(&mcp.Implementation{Name: "zoo", Version: "1"}, nil)
	var count atomic.Int64
	mcp.AddTool(s, &mcp.Tool{Name: "echo"}, func(_ context.Context, _ *mcp.CallToolRequest, in words) (*mcp.CallToolResult, any, error) {
		return text(in.Text), nil, nil
	})
	mcp.AddTool(s, &mcp.Tool{Name: "pid"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		return text(strconv.Itoa(os.Getpid())), nil, nil
	})
	mcp.AddTool(s, &mcp.Tool{Name: "counter"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		return text(strconv.FormatInt(count.Add(1), 10)), nil, nil
	})
	mcp.AddTool(s, &mcp.Tool{Name: "slow"}, func(ctx context.Context, req *mcp.CallToolRequest, in period) (*mcp.CallToolResult, any, error) {
		for n := 1; n <= 3; n++ {
			if token := req.Params.GetProgressToken(); token != nil {
				if err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: token, Progress: float64(n), Total: 3}); err != nil {
					return nil, nil, err
				}
			}
			select {
			case <-time.After(time.Duration(in.MS) * time.Millisecond / 3):
			case <-ctx.Done():
				return nil, nil, ctx.Err()
			}
		}
		return text("done"), nil, nil
	})
	mcp.AddTool(s, &mcp.Tool{Name: "log"}, func(ctx context.Context, req *mcp.CallToolRequest, in words) (*mcp.CallToolResult, any, error) {
		return text("logged"), nil, req.Session.Log(ctx, &mcp.LoggingMessageParams{Level: "info", Data: in.Text})
	})
	s.AddResource(&mcp.Resource{Name: "animal", URI: "zoo://animal"}, func(_ context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: req.Params.URI, Text: "a zebra"}}}, nil
	})
	s.AddPrompt(&mcp.Prompt{Name: "greet", Arguments: []*mcp.PromptArgument{{Name: "name"}}}, func(_ context.Context, req *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		return &mcp.GetPromptResult{Messages: []*mcp.PromptMessage{{Role: "user", Content: &mcp.TextContent{Text: "Greet " + req.Params.Arguments["name"] + "."}}}}, nil
	})
	return s
}
