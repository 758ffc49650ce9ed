package session

import (
	"context"
	"sync"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/slot"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// clientTaskLimit bounds the tasks of a client whose owners are remembered.
const clientTaskLimit = 1000

// questions are the requests of servers that a session's client has not
// answered, and the tasks that it made of such. The lock is a leaf: no other is
// taken under it.
type questions struct {
	s *session

	mu    sync.Mutex
	byID  map[jsonrpc.ID]*serverRequest // by our id
	tasks map[string]*slot.Slot         // of the client, by its id, with whom they are for
}

// find returns the request that the client calls by an id; nil when it is over.
func (q *questions) find(id jsonrpc.ID) *serverRequest {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.byID[id]
}

// answer routes the client's answer to the server that asked. An answer that
// no server waits for any more is dropped.
func (q *questions) answer(m *jsonrpc.Message) {
	r := q.find(m.ID())
	if r == nil {
		return
	}
	select {
	case r.answer <- m:
	default: // the second answer to one request
	}
}

// withdraw notes that a server takes its request back.
func (q *questions) withdraw(from *slot.Upstream, m *jsonrpc.Message) {
	id := m.Params().Get("requestId").ID()
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range q.byID {
		if r.from == from && r.msg.ID() == id {
			r.once.Do(func() {
				r.withdrawal = m
				close(r.withdrew)
			})
		}
	}
}

// reports notes that the client's progress on a server's request waits to be
// passed on, and returns what is to be called once it has been.
func (q *questions) reports(m *jsonrpc.Message) (passed func()) {
	if m.Method() != spec.NotificationProgress {
		return func() {}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	r := q.byID[m.Params().Get("progressToken").ID()]
	if r == nil {
		return func() {}
	}
	passing := make(chan struct{})
	r.passing = passing
	return func() { close(passing) }
}

// passed waits until the progress that the client reported before its answer has
// been passed on.
func (q *questions) passed(ctx context.Context, r *serverRequest) {
	q.mu.Lock()
	passing := r.passing
	q.mu.Unlock()
	if passing == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, slot.SendTimeout)
	defer cancel()
	select {
	case <-passing:
	case <-ctx.Done():
	}
}

// remember notes that a client made a task of what a server asked: what it
// says about the task belongs to that server.
func (q *questions) remember(r *serverRequest, answer *jsonrpc.Message) {
	id := answer.Result().Get("task", "taskId").String()
	if id == "" {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.tasks == nil || len(q.tasks) >= clientTaskLimit {
		q.tasks = map[string]*slot.Slot{}
	}
	q.tasks[id] = r.from.Slot()
}

// taskOwner returns the server that a client's task is for.
func (q *questions) taskOwner(id string) *slot.Slot {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.tasks[id]
}
