package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
)

// question is a line of standard input.
type question struct {
	Do        string         `json:"do"`
	Name      string         `json:"name"`
	Arguments map[string]any `json:"arguments"`
}

var speaking sync.Mutex

func say(key string, value any) {
	speaking.Lock()
	defer speaking.Unlock()
	line, _ := json.Marshal(map[string]any{key: value})
	fmt.Println(string(line))
}

// ask connects and answers questions until standard input ends.
func ask(ctx context.Context, over string, target []string) error {
	c, revision, err := connect(ctx, over, target)
	if err != nil {
		say("error", err.Error())
		return err
	}
	say("ok", revision)
	lines := bufio.NewScanner(os.Stdin)
	for n := 0; lines.Scan(); n++ {
		var q question
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			return err
		}
		if answer, err := do(ctx, c, q, n); err != nil {
			say("error", err.Error())
		} else {
			say("ok", answer)
		}
	}
	return lines.Err()
}

func connect(ctx context.Context, over string, target []string) (c *client.Client, revision string, err error) {
	switch over {
	case "http":
		c, err = client.NewStreamableHttpClient(target[0], transport.WithContinuousListening())
	case "sse":
		c, err = client.NewSSEMCPClient(target[0])
	default:
		c = client.NewClient(transport.NewCommand(target[0], target[1:]...))
	}
	if err != nil {
		return nil, "", err
	}
	c.OnNotification(func(n mcp.JSONRPCNotification) {
		switch n.Method {
		case "notifications/progress":
			say("progress", n.Params.AdditionalFields["progress"])
		case "notifications/message":
			say("log", n.Params.AdditionalFields["data"])
		}
	})
	if err := c.Start(ctx); err != nil {
		return nil, "", err
	}
	var hello mcp.InitializeRequest
	hello.Params.ClientInfo = mcp.Implementation{Name: "zoo", Version: "1"}
	res, err := c.Initialize(ctx, hello)
	if err != nil {
		return nil, "", err
	}
	return c, res.ProtocolVersion, nil
}

func do(ctx context.Context, c *client.Client, q question, n int) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	names := []string{}
	switch q.Do {
	case "level":
		return "", c.SetLevel(ctx, mcp.SetLevelRequest{Params: mcp.SetLevelParams{Level: mcp.LoggingLevelInfo}})
	case "tools":
		res, err := c.ListTools(ctx, mcp.ListToolsRequest{})
		if err != nil {
			return nil, err
		}
		for _, t := range res.Tools {
			names = append(names, t.Name)
		}
		return names, nil
	case "resources":
		res, err := c.ListResources(ctx, mcp.ListResourcesRequest{})
		if err != nil {
			return nil, err
		}
		for _, r := range res.Resources {
			names = append(names, r.URI)
		}
		return names, nil
	case "prompts":
		res, err := c.ListPrompts(ctx, mcp.ListPromptsRequest{})
		if err != nil {
			return nil, err
		}
		for _, p := range res.Prompts {
			names = append(names, p.Name)
		}
		return names, nil
	case "read":
		res, err := c.ReadResource(ctx, mcp.ReadResourceRequest{Params: mcp.ReadResourceParams{URI: q.Name}})
		if err != nil {
			return nil, err
		}
		return res.Contents[0].(mcp.TextResourceContents).Text, nil
	case "prompt":
		arguments := map[string]string{}
		for k, v := range q.Arguments {
			arguments[k] = fmt.Sprint(v)
		}
		res, err := c.GetPrompt(ctx, mcp.GetPromptRequest{Params: mcp.GetPromptParams{Name: q.Name, Arguments: arguments}})
		if err != nil {
			return nil, err
		}
		return res.Messages[0].Content.(mcp.TextContent).Text, nil
	}
	var call mcp.CallToolRequest
	call.Params.Name, call.Params.Arguments = q.Name, q.Arguments
	call.Params.Meta = &mcp.Meta{ProgressToken: n}
	res, err := c.CallTool(ctx, call)
	if err != nil {
		return nil, err
	}
	said := res.Content[0].(mcp.TextContent).Text
	if res.IsError {
		return nil, errors.New(said)
	}
	return said, nil
}
