package upstream

import (
	"context"
	"sync"

	"github.com/mcpgateway/mcpgateway/internal/memory"
)

// Caller is what calls have in common that are made for one request of a client.
// It must not be copied.
type Caller struct {
	// Primed, if not nil, is called when an event of an answer has no message: a
	// server that sends an id to resume from, or a time to reconnect after,
	// expects the call to outlast its connection (MCP 2025-11-25, Sending Messages
	// to the Server). So may the maker of the call.
	Primed func()
	// Unwanted, if not nil, reports whether the maker of the calls has cancelled them:
	// a stream that breaks off is not resumed then.
	Unwanted func() bool

	mu       sync.Mutex
	answers  memory.Lease
	released bool
}

type callerKey struct{}

// WithCaller returns a ctx whose Calls are made for c.
func WithCaller(ctx context.Context, c *Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// callerOf returns nil where there is none.
func callerOf(ctx context.Context) *Caller {
	c, _ := ctx.Value(callerKey{}).(*Caller)
	return c
}

func (c *Caller) primed() {
	if c != nil && c.Primed != nil {
		c.Primed()
	}
}

func (c *Caller) unwanted() bool { return c != nil && c.Unwanted != nil && c.Unwanted() }

// take takes over what an answer is charged. Without a caller it is returned.
func (c *Caller) take(l *memory.Lease) {
	if c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
	}
	if c == nil || c.released {
		l.Release()
		return
	}
	l.MoveTo(&c.answers)
}

// Shrink returns some of what the answers are charged: they are charged again
// where they go.
func (c *Caller) Shrink(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers.Shrink(n)
}

// Release returns what the answers are charged, now and later.
func (c *Caller) Release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers.Release()
	c.released = true
}
