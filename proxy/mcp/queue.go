package mcp

import (
	"context"
	"slices"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// queueFactor says how many requests of a session may wait for each that may be
// in flight. Their bytes together are no more than those of the longest message.
const queueFactor = 16

// queue bounds the requests of a session that are in flight. What a client
// sends beyond that waits in order: clients do send a hundred calls at once. It
// is guarded by session.mu.
type queue struct {
	running int // calls that have a place
	waiting []*call
	bytes   int // of those that wait
}

// overtakes reports whether a request is answered without waiting for others:
// we answer ping, and the cancellation of a task makes room.
func overtakes(method string) bool { return method == spec.Ping || method == spec.TasksCancel }

// enterLocked gives the call a place, or lets it wait. It reports false when
// there is no room for that.
func (s *session) enterLocked(c *call) bool {
	limit := c.route.Limits.Pending
	q := &s.queue
	switch size := len(c.msg.Raw()); {
	case overtakes(c.msg.Method()):
		return s.pending < (2+queueFactor)*limit
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
	return true
}

// leaveLocked gives the call's place to those that wait the longest.
func (s *session) leaveLocked(c *call) {
	q := &s.queue
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

// await waits until the call has its place. The error is why it ended before.
func (c *call) await() error {
	if c.turn == nil {
		return nil
	}
	select {
	case <-c.turn:
		c.unhold()
		return nil
	case <-c.ctx.Done():
		return context.Cause(c.ctx)
	}
}
