package session

import (
	"context"
	"slices"
	"sync"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// queueFactor says how many requests of a session may wait for each that may be
// in flight. Their bytes together are no more than those of the longest message.
const queueFactor = 16

// calls are the requests of a session that have not been answered. How many of
// them are in flight is bounded. What a client sends beyond that waits in order:
// clients do send a hundred calls at once.
//
// The lock is a leaf: none but that of a call is taken under it.
type calls struct {
	mu      sync.Mutex
	byID    map[jsonrpc.ID][]*call // by the client's id: some use one twice at once
	pending int
	running int // that have a place
	waiting []*call
	bytes   int // of those that wait
}

// overtakes reports whether a request is answered without waiting for others:
// we answer ping, and the cancellation of a task makes room.
func overtakes(method string) bool { return method == spec.Ping || method == spec.TasksCancel }

// enter gives the call a place, or lets it wait, and starts its clocks, which end
// with ctx. It reports false when there is no room for it.
func (q *calls) enter(ctx context.Context, c *call) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	limit := c.route.Limits.Pending
	switch size := len(c.msg.Raw()); {
	case overtakes(c.msg.Method()):
		if q.pending >= (2+queueFactor)*limit {
			return false
		}
	case q.running < limit && len(q.waiting) == 0:
		q.running++
		c.placed = true
	case len(q.waiting) < queueFactor*limit && q.bytes+size <= int(c.route.Limits.Message):
		c.turn = make(chan struct{})
		q.waiting = append(q.waiting, c)
		q.bytes += size
	default:
		return false
	}
	q.pending++
	id := c.msg.ID()
	q.byID[id] = append(q.byID[id], c)
	c.start(ctx)
	if c.turn != nil {
		c.pause() // no server is silent yet
	}
	return true
}

// leave ends what enter began, and gives the call's place to those that wait the
// longest.
func (q *calls) leave(c *call) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pending--
	id := c.msg.ID()
	q.byID[id] = slices.DeleteFunc(q.byID[id], func(other *call) bool { return other == c })
	if len(q.byID[id]) == 0 {
		delete(q.byID, id)
	}
	if c.placed {
		q.running--
	} else if i := slices.Index(q.waiting, c); i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
		q.bytes -= len(c.msg.Raw())
	}
	for len(q.waiting) > 0 && q.running < q.waiting[0].route.Limits.Pending {
		next := q.waiting[0]
		q.waiting = slices.Delete(q.waiting, 0, 1)
		q.bytes -= len(next.msg.Raw())
		q.running++
		next.placed = true
		close(next.turn)
	}
}

// only returns the call in flight, if there is exactly one.
func (q *calls) only() *call {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.pending != 1 {
		return nil
	}
	for _, same := range q.byID {
		return same[0]
	}
	return nil
}

// cancel ends the newest call with the id that m names: of two with the same, the
// other one is more likely to be the one whose answer is awaited.
func (q *calls) cancel(m *jsonrpc.Message) {
	id := m.Params().Get("requestId").ID()
	q.mu.Lock()
	var c *call
	if same := q.byID[id]; len(same) > 0 {
		c = same[len(same)-1]
	}
	q.mu.Unlock()
	if c != nil {
		c.cancel(canceled{c.session, m})
	}
}

// await waits until the call has its place. The error is why it ended before.
func (c *call) await() error {
	if c.turn == nil {
		return nil
	}
	select {
	case <-c.turn:
		c.unpause()
		return nil
	case <-c.ctx.Done():
		return context.Cause(c.ctx)
	}
}
