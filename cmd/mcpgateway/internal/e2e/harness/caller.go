package harness

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
)

// Caller is one session of the official SDK that calls all the time.
type Caller struct {
	Session *mcp.ClientSession
	hc      *http.Client // nil over other transports
	changed chan struct{}
	between chan struct{} // received from between two calls
	failed  atomic.Pointer[error]
	cancel  context.CancelFunc
	done    chan struct{}
}

// CallOver opens a session over a transport. tool is called all the time; "" for
// none.
func CallOver(t testing.TB, tool string, transport mcp.Transport) *Caller {
	t.Helper()
	c := &Caller{changed: make(chan struct{}, 100), between: make(chan struct{}), done: make(chan struct{})}
	sdk := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, &mcp.ClientOptions{
		ToolListChangedHandler: func(context.Context, *mcp.ToolListChangedRequest) { c.changed <- struct{}{} },
		ElicitationHandler: func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			return &mcp.ElicitResult{Action: "accept"}, nil
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	session, err := sdk.Connect(ctx, transport, &mcp.ClientSessionOptions{ProtocolVersion: "2025-11-25"})
	if err != nil {
		t.Fatalf("connecting: %v", err)
	}
	c.Session = session
	go func() {
		defer close(c.done)
		for ctx.Err() == nil && tool != "" {
			if err := c.Call(ctx, tool); err != nil && ctx.Err() == nil {
				c.failed.Store(&err)
				return
			}
			select {
			case <-c.between: // a test waits for calls: there is no pause
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	t.Cleanup(func() { c.Stop(t) })
	return c
}

// Call calls a tool once, with a text that the answer must repeat.
func (c *Caller) Call(ctx context.Context, tool string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := c.Session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: map[string]any{"text": "hi"}})
	if err != nil {
		return err
	}
	if r.IsError || !strings.Contains(r.Content[0].(*mcp.TextContent).Text, "hi") {
		return fmt.Errorf("wrong answer: %+v", r.Content[0])
	}
	return nil
}

// More waits until n further calls have begun and come back.
func (c *Caller) More(t testing.TB, n int) {
	t.Helper()
	for range n + 1 {
		select {
		case c.between <- struct{}{}:
		case <-c.done:
			if err := c.failed.Load(); err != nil {
				t.Fatalf("a call failed: %v", *err)
			}
			t.Fatal("the session makes no calls")
		case <-time.After(testkit.Patience):
			t.Fatal("a call does not come back")
		}
	}
}

// Stop ends the session; a call that failed before fails the test.
func (c *Caller) Stop(t testing.TB) {
	c.cancel()
	<-c.done
	c.Session.Close()
	if c.hc != nil {
		c.hc.CloseIdleConnections() // they weigh something
	}
	if err := c.failed.Load(); err != nil {
		t.Errorf("a call failed: %v", *err)
	}
}

// ToolNames are the tools that the session lists, in order.
func (c *Caller) ToolNames(t testing.TB) []string {
	t.Helper()
	r, err := c.Session.ListTools(context.Background(), nil)
	if err != nil {
		t.Fatalf("tools/list: %v", err)
	}
	var names []string
	for _, tool := range r.Tools {
		names = append(names, tool.Name)
	}
	slices.Sort(names)
	return names
}

// ExpectChanged waits for notifications/tools/list_changed.
func (c *Caller) ExpectChanged(t testing.TB) {
	t.Helper()
	testkit.Receive(t, c.changed, "tools/list_changed")
}
