package main_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A listener whose definition changes ends its old connections. A call that is
// in flight on one of them is answered on another.
func TestAChangedListenerLosesNoCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	release, begun := make(chan struct{}), make(chan struct{})
	server := tools("one")
	mcp.AddTool(server, &mcp.Tool{Name: "slow"}, func(ctx context.Context, r *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
		close(begun)
		select {
		case <-release:
		case <-ctx.Done():
		}
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "at last"}}}, nil, ctx.Err()
	})
	w.one = w.serve(t, streamable(server))
	w.mustApply(w.yaml())
	c := w.connect(t, "")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	type answer struct {
		result *mcp.CallToolResult
		err    error
	}
	answered := make(chan answer, 1)
	go func() {
		r, err := c.session.CallTool(ctx, &mcp.CallToolParams{Name: "slow"})
		answered <- answer{r, err}
	}()
	<-begun
	w.limits = "idle_timeout: 1m"
	w.mustApply(strings.Replace(w.yaml(), "timeout: 5s", "timeout: 200ms", 1))
	w.eventually("the old connections to end", func() error {
		if d := w.status().Draining; len(d) != 0 {
			return fmt.Errorf("still %+v", d)
		}
		return nil
	})
	close(release)
	a := <-answered
	if a.err != nil || a.result.IsError || a.result.Content[0].(*mcp.TextContent).Text != "at last" {
		t.Errorf("the call ends with %+v, %v", a.result, a.err)
	}
}
