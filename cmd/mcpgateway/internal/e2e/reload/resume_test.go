package reload_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
)

// A listener whose definition changes ends its old connections. A call that is
// in flight on one of them is answered on another.
func TestAChangedListenerLosesNoCall(t *testing.T) {
	t.Parallel()
	w := harness.NewWorld(t)
	release, begun := make(chan struct{}), make(chan struct{})
	server := harness.NewTools("one")
	mcp.AddTool(server, &mcp.Tool{Name: "slow"}, func(ctx context.Context, r *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
		close(begun)
		select {
		case <-release:
		case <-ctx.Done():
		}
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "at last"}}}, nil, ctx.Err()
	})
	w.One = w.Serve(t, harness.Streamable(server))
	w.MustApply(w.YAML())
	c := w.Connect(t, "")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	type answer struct {
		result *mcp.CallToolResult
		err    error
	}
	answered := make(chan answer, 1)
	go func() {
		r, err := c.Session.CallTool(ctx, &mcp.CallToolParams{Name: "slow"})
		answered <- answer{r, err}
	}()
	<-begun
	w.Limits = "idle_timeout: 1m"
	w.MustApply(strings.Replace(w.YAML(), "timeout: 5s", "timeout: 200ms", 1))
	w.Eventually("the old connections to end", func() error {
		if d := w.Status().Draining; len(d) != 0 {
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
