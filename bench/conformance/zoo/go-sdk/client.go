package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
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
	client := mcp.NewClient(&mcp.Implementation{Name: "zoo", Version: "1"}, &mcp.ClientOptions{
		LoggingMessageHandler: func(_ context.Context, req *mcp.LoggingMessageRequest) { say("log", req.Params.Data) },
		ProgressNotificationHandler: func(_ context.Context, req *mcp.ProgressNotificationClientRequest) {
			say("progress", req.Params.Progress)
		},
	})
	var transport mcp.Transport
	switch over {
	case "http":
		transport = &mcp.StreamableClientTransport{Endpoint: target[0]}
	case "sse":
		transport = &mcp.SSEClientTransport{Endpoint: target[0]}
	default:
		transport = &mcp.CommandTransport{Command: exec.Command(target[0], target[1:]...)}
	}
	session, err := client.Connect(ctx, transport, nil)
	if err != nil {
		say("error", err.Error())
		return err
	}
	say("ok", session.InitializeResult().ProtocolVersion)
	lines := bufio.NewScanner(os.Stdin)
	for n := 0; lines.Scan(); n++ {
		var q question
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			return err
		}
		if answer, err := do(ctx, session, q, n); err != nil {
			say("error", err.Error())
		} else {
			say("ok", answer)
		}
	}
	return lines.Err()
}

func do(ctx context.Context, session *mcp.ClientSession, q question, n int) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	names := []string{}
	switch q.Do {
	case "level":
		return "", session.SetLoggingLevel(ctx, &mcp.SetLoggingLevelParams{Level: "info"})
	case "tools":
		res, err := session.ListTools(ctx, nil)
		if err != nil {
			return nil, err
		}
		for _, t := range res.Tools {
			names = append(names, t.Name)
		}
		return names, nil
	case "resources":
		res, err := session.ListResources(ctx, nil)
		if err != nil {
			return nil, err
		}
		for _, r := range res.Resources {
			names = append(names, r.URI)
		}
		return names, nil
	case "prompts":
		res, err := session.ListPrompts(ctx, nil)
		if err != nil {
			return nil, err
		}
		for _, p := range res.Prompts {
			names = append(names, p.Name)
		}
		return names, nil
	case "read":
		res, err := session.ReadResource(ctx, &mcp.ReadResourceParams{URI: q.Name})
		if err != nil {
			return nil, err
		}
		return res.Contents[0].Text, nil
	case "prompt":
		arguments := map[string]string{}
		for k, v := range q.Arguments {
			arguments[k] = fmt.Sprint(v)
		}
		res, err := session.GetPrompt(ctx, &mcp.GetPromptParams{Name: q.Name, Arguments: arguments})
		if err != nil {
			return nil, err
		}
		return res.Messages[0].Content.(*mcp.TextContent).Text, nil
	}
	params := &mcp.CallToolParams{Name: q.Name, Arguments: q.Arguments}
	if strings.HasSuffix(q.Name, "log") { // in 2026-07-28 each request asks for messages
		params.Meta = mcp.Meta{"io.modelcontextprotocol/logLevel": "info"}
	}
	params.SetProgressToken(n)
	res, err := session.CallTool(ctx, params)
	if err != nil {
		return nil, err
	}
	said := res.Content[0].(*mcp.TextContent).Text
	if res.IsError {
		return nil, fmt.Errorf("%s", said)
	}
	return said, nil
}
