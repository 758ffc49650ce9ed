package main

import (
	"context"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

func serve(over string, args []string) error {
	s := animals()
	switch over {
	case "http":
		return server.NewStreamableHTTPServer(s, server.WithStateful(true)).Start(args[0])
	case "sse":
		return server.NewSSEServer(s).Start(args[0])
	}
	return server.ServeStdio(s)
}

func animals() *server.MCPServer {
	s := server.NewMCPServer("zoo", "1", server.WithLogging(), server.WithToolCapabilities(true))
	var mu sync.Mutex
	counts := map[string]int{}
	s.AddTool(mcp.NewTool("echo", mcp.WithString("text")), func(_ context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return mcp.NewToolResultText(req.GetString("text", "")), nil
	})
	s.AddTool(mcp.NewTool("pid"), func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return mcp.NewToolResultText(strconv.Itoa(os.Getpid())), nil
	})
	s.AddTool(mcp.NewTool("counter"), func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		mu.Lock()
		defer mu.Unlock()
		id := server.ClientSessionFromContext(ctx).SessionID()
		counts[id]++
		return mcp.NewToolResultText(strconv.Itoa(counts[id])), nil
	})
	s.AddTool(mcp.NewTool("slow", mcp.WithNumber("ms")), func(ctx context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		for n := 1; n <= 3; n++ {
			if meta := req.Params.Meta; meta != nil && meta.ProgressToken != nil {
				if err := s.SendNotificationToClient(ctx, "notifications/progress", map[string]any{"progressToken": meta.ProgressToken, "progress": n, "total": 3}); err != nil {
					return nil, err
				}
			}
			time.Sleep(time.Duration(req.GetInt("ms", 0)) * time.Millisecond / 3)
		}
		return mcp.NewToolResultText("done"), nil
	})
	s.AddTool(mcp.NewTool("log", mcp.WithString("text")), func(ctx context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		if err := s.SendLogMessageToClient(ctx, mcp.NewLoggingMessageNotification(mcp.LoggingLevelInfo, "zoo", req.GetString("text", ""))); err != nil {
			return nil, err
		}
		time.Sleep(50 * time.Millisecond) // mcp-go queues messages, and sends a result at once
		return mcp.NewToolResultText("logged"), nil
	})
	s.AddResource(mcp.NewResource("zoo://animal", "animal"), func(_ context.Context, req mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
		return []mcp.ResourceContents{mcp.TextResourceContents{URI: req.Params.URI, Text: "a zebra"}}, nil
	})
	s.AddPrompt(mcp.NewPrompt("greet", mcp.WithArgument("name")), func(_ context.Context, req mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		return &mcp.GetPromptResult{Messages: []mcp.PromptMessage{mcp.NewPromptMessage(mcp.RoleUser, mcp.NewTextContent("Greet "+req.Params.Arguments["name"]+"."))}}, nil
	})
	return s
}
