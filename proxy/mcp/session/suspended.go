package session

import (
	"context"
	"crypto/rand"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/seal"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// suspended is a call of a modern client to a server that has sessions, and asks in
// the middle of the call. The client cannot be asked on a stream: its request
// ends with input_required, the call to the server goes on, and the client's
// next request takes it up (MCP 2026-07-28, Multi Round-Trip Requests).
type suspended struct {
	c *call
	// principal: whose the call is.
	principal string
	done      <-chan struct{} // closed when the call is through and its session given back

	mu sync.Mutex
	// msg is the request that the call answers now.
	msg  *jsonrpc.Message
	asks []*serverRequest // the questions without an answer, in order
	keys int              // the last one's
	// later asks the client, if the call does not end before; nil: it need not.
	later *time.Timer
	// final is the answer, once there is one.
	final  []byte
	status int
	// id names the call while it is suspended, until the client sends its next request.
	id      string
	through chan struct{} // closed when the HTTP request that suspended it is through
	timer   *time.Timer
	since   time.Time // when it was suspended; guarded by suspensions
	// charged is what final takes of the memory budget while the call is suspended;
	// guarded by suspensions.
	charged int64
}

// ask adds a question, and sends it to the client if it waits for an answer, or
// if it still does after some patience.
func (k *suspended) ask(a *serverRequest, limit int, patience time.Duration) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.final != nil {
		return errNobody
	}
	if len(k.asks) >= limit {
		return ErrPending
	}
	k.keys++
	a.key = strconv.Itoa(k.keys)
	var e jsonrpc.Edits
	k.c.session.mapper(a.cluster()).Request(&e, a.msg.Method(), a.msg.Params())
	a.params = e.ApplyTo(a.msg.Params())
	k.asks = append(k.asks, a)
	switch {
	case k.id != "": // the client is asked with its next request
	case patience == 0:
		k.suspendLocked()
	case k.later == nil:
		k.later = time.AfterFunc(patience, k.askWaiting)
	}
	return nil
}

// askWaiting asks the client what could wait until now.
func (k *suspended) askWaiting() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.later != nil && k.id == "" && k.final == nil && len(k.asks) > 0 {
		k.suspendLocked()
	}
	k.later = nil
}

// stopTimerLocked ends the patience.
func (k *suspended) stopTimerLocked() {
	if k.later != nil {
		k.later.Stop()
		k.later = nil
	}
}

// drop forgets a question that needs no answer any more.
func (k *suspended) drop(a *serverRequest) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asks = slices.DeleteFunc(k.asks, func(other *serverRequest) bool { return other == a })
}

// suspendLocked answers the client's request with the questions.
func (k *suspended) suspendLocked() {
	k.stopTimerLocked()
	registry := k.c.session.registry
	k.id, k.through = rand.Text(), make(chan struct{})
	if !registry.suspensions.add(k) {
		k.id, k.through = "", nil // the client waits for the answer, which is the error
		k.c.cancel(ErrPending)
		return
	}
	var asked []any
	for _, a := range k.asks {
		asked = append(asked, a.key, inputRequest(a.msg.Method(), a.params))
	}
	body := rounds{k.c}.inputRequired(asked, seal.State{Cluster: k.c.asked(), Held: k.id})
	k.c.out.Finish(http.StatusOK, jsonrpc.NewResult(k.msg.ID(), body))
}

// conclude takes the answer of the call.
func (k *suspended) conclude(status int, body []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.id != "" && !k.c.session.registry.suspensions.charge(k, len(body)) {
		status, body = http.StatusOK, Unheard(k.c.msg.ID())
	}
	k.stopTimerLocked()
	k.final, k.status = body, status
	if k.id == "" {
		k.answerLocked()
	}
}

// answerLocked gives the client the answer.
func (k *suspended) answerLocked() {
	k.c.answer(k.status, k.msg.ID(), k.addressed())
}

// addressed is the answer with the id of the request that it answers now.
func (k *suspended) addressed() []byte {
	if k.msg == k.c.msg {
		return k.final
	}
	m, err := jsonrpc.Parse(k.final)
	if err != nil { // it was made here, of what was parsed
		return k.final
	}
	var e jsonrpc.Edits
	e.SetID(m, k.msg.ID())
	return e.Apply(m)
}

// current is the request that the call answers now.
func (k *suspended) current() *jsonrpc.Message {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.msg
}

// waits reports whether the call waits for the next request of the client, and returns
// what closes when the HTTP request that suspended it is through.
func (k *suspended) waits() (through chan struct{}, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.through, k.id != ""
}

// takeUp goes on with the call for the request m, which brings answers.
func (k *suspended) takeUp(m *jsonrpc.Message) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.msg, k.id = m, ""
	k.c.stream.Reopen()
	if k.final != nil {
		k.answerLocked()
		return
	}
	k.asks = slices.DeleteFunc(k.asks, func(a *serverRequest) bool {
		answer := m.Params().Get("inputResponses", a.key)
		if !answer.Exists() {
			return false // it is asked again
		}
		response, err := jsonrpc.Parse(jsonrpc.NewResult(a.msg.ID(), answer.Raw()))
		if err == nil {
			a.answer <- response
		}
		return err == nil
	})
	if len(k.asks) > 0 {
		k.suspendLocked()
	}
}

// Write writes what a call, or a subscription, has to say to the HTTP answer of its
// request, until that is through. last makes the answer of one that must end before
// there is an answer.
type Write func(r eventstream.Reader, last func() []byte)

// Call runs the only call of a client without a session, and has write answer it.
// The error is why the request did not become a call.
func (f Sender) Call(ctx context.Context, init ClientInit, m *jsonrpc.Message, o eventstream.Options, write Write) error {
	s, err := f.borrow(init)
	if err != nil {
		return err
	}
	c, done := s.newCall(f, m, s.newStream(o)), make(chan struct{})
	c.suspended = &suspended{c: c, principal: s.principal, msg: m, done: done}
	through := func() { s.registry.giveBack(s.session); close(done) }
	if err := s.launch(c, through); err != nil {
		through()
		return err
	}
	c.suspended.attend(ctx, write)
	return nil
}

// TakeUp goes on with the call that waits for what the request m brings, and has
// write answer that. It reports false where m is a call of its own.
func (f Sender) TakeUp(ctx context.Context, m *jsonrpc.Message, write Write) (bool, error) {
	state, _, err := openState(f.Route.registry.seal, f.Route.Name, f.Principal.Key(), m)
	if err != nil || state.Held == "" {
		return false, err
	}
	k := f.Route.registry.suspensions.take(state.Held)
	if k == nil {
		return false, spec.InvalidParams(seal.ErrState.Error())
	}
	through, _ := k.waits()
	select {
	case <-through: // the request that suspended the call
		f.Info.SetCluster(k.c.asked())
		k.takeUp(m)
		k.attend(ctx, write)
	case <-ctx.Done():
		k.c.cancel(errGone)
	}
	return true, nil
}

// attend has write say what the call has to say, until it is through or asks for
// input. No client could ever fetch the answer of a client that has gone; of a modern
// one it is the cancellation. It may go while the call waits for its next request.
func (k *suspended) attend(ctx context.Context, write Write) {
	stop := context.AfterFunc(ctx, func() {
		if _, ok := k.waits(); !ok {
			k.c.cancel(errGone)
		}
	})
	write(k.c.stream.Reader(), func() []byte { return Interruption(k.current().ID()) })
	stop()
	if through, ok := k.waits(); ok {
		close(through)
		return
	}
	k.c.cancel(errGone)
	<-k.done
}
