package sample

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// tick is the pace of the tool count.
const tick = time.Second

// ConfigURI is the resource that every sample server has.
const ConfigURI = "sample://config"

// NewServer returns an MCP server with a few tools, a prompt and a resource.
// peer names the client on whose connection the server is made; a request that
// carries the name of its own connection (see [Handler]) is answered with that.
func NewServer(name, peer string) *mcp.Server {
	server := mcp.NewServer(&mcp.Implementation{Name: name, Version: "1.0.0"}, nil)
	addTools(server, peer)

	server.AddPrompt(&mcp.Prompt{
		Name:        "greet",
		Description: "Greets a person.",
		Arguments:   []*mcp.PromptArgument{{Name: "who", Description: "whom to greet", Required: true}},
	}, func(_ context.Context, req *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		return &mcp.GetPromptResult{Messages: []*mcp.PromptMessage{{
			Role:    "user",
			Content: &mcp.TextContent{Text: fmt.Sprintf("Say hello to %s, from %s.", req.Params.Arguments["who"], name)},
		}}}, nil
	})

	server.AddResource(&mcp.Resource{
		URI: ConfigURI, Name: "config", MIMEType: "text/plain", Description: "Which server this is.",
	}, func(_ context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{
			URI: req.Params.URI, MIMEType: "text/plain", Text: "name = " + name + "\n",
		}}}, nil
	})
	return server
}

type echoArgs struct {
	Text string `json:"text" jsonschema:"what to send back"`
}

type countArgs struct {
	Seconds int `json:"seconds" jsonschema:"how long to count, one step a second, at most 3600"`
}

func addTools(server *mcp.Server, peer string) {
	mcp.AddTool(server, &mcp.Tool{Name: "echo", Description: "Sends its argument back."},
		func(_ context.Context, _ *mcp.CallToolRequest, args echoArgs) (*mcp.CallToolResult, any, error) {
			return text(args.Text), nil, nil
		})

	mcp.AddTool(server, &mcp.Tool{Name: "whoami", Description: "Names the client certificate that the server sees."},
		func(_ context.Context, req *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			name := peer
			if req.Extra != nil {
				if own := peerOf(req.Extra.Header); own != "" {
					name = own
				}
			}
			return text(name), nil, nil
		})

	mcp.AddTool(server, &mcp.Tool{Name: "count", Description: "Counts the seconds, and reports each as progress."}, count)
}

// count is slow on purpose, so that its stream is open while certificates change.
func count(ctx context.Context, req *mcp.CallToolRequest, args countArgs) (*mcp.CallToolResult, any, error) {
	if args.Seconds < 0 || args.Seconds > 3600 {
		return nil, nil, fmt.Errorf("seconds is %d; it must be from 0 to 3600", args.Seconds)
	}
	token := req.Params.GetProgressToken()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for i := 1; i <= args.Seconds; i++ {
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-ticker.C:
		}
		if token == nil {
			continue
		}
		err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{
			ProgressToken: token,
			Progress:      float64(i),
			Total:         float64(args.Seconds),
			Message:       fmt.Sprintf("%d of %d", i, args.Seconds),
		})
		if err != nil {
			return nil, nil, fmt.Errorf("reporting progress: %w", err)
		}
	}
	return text(fmt.Sprintf("counted to %d", args.Seconds)), nil, nil
}

func text(s string) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: s}}}
}

// peerHeader carries the client's name from the connection to the tools. A
// client cannot set it: [Handler] replaces what came in.
const peerHeader = "Sample-Peer"

func peerOf(h http.Header) string { return h.Get(peerHeader) }

// Handler serves MCP sessions through wrap, which is one of the SDK's HTTP
// transports, and lets each session know the certificate of its client.
func Handler(name string, wrap func(newServer func(*http.Request) *mcp.Server) http.Handler) http.Handler {
	next := wrap(func(r *http.Request) *mcp.Server { return NewServer(name, peerOf(r.Header)) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del(peerHeader)
		if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
			r.Header.Set(peerHeader, r.TLS.PeerCertificates[0].Subject.CommonName)
		}
		next.ServeHTTP(w, r)
	})
}
