package mcp

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// heldLimit bounds the calls that wait for the input of modern clients, those
// included whose server has meanwhile answered all the same.
const heldLimit = 1024

// held is a call of a modern client to a server that has sessions, and asks in
// the middle of the call. The client cannot be asked on a stream: its request
// ends with input_required, the call to the server goes on, and the client's
// next request takes it up (MCP 2026-07-28, Multi Round-Trip Requests).
type held struct {
	c    *call
	done <-chan struct{} // closed when the call is through and its session given back

	mu sync.Mutex
	// msg is the request that the call answers now.
	msg  *jsonrpc.Message
	asks []*ask // the questions without an answer, in order
	keys int    // the last one's
	// final is the answer, once there is one.
	final  []byte
	status int
	// id names the call while it is parked: the client has the word.
	id     string
	parked chan struct{} // closed when the HTTP request that parked it is through
	timer  *time.Timer
}

// require takes a request of a server for a modern client: the client is asked
// with the answer to its own request, if that is one that may be answered so.
func (s *session) require(p *peer, l *link, m *jsonrpc.Message, c *call) {
	a := &ask{
		id:       jsonrpc.StringID(rand.Text()),
		link:     l,
		msg:      m,
		call:     c,
		answer:   make(chan *jsonrpc.Message, 1),
		withdrew: make(chan struct{}),
	}
	s.mu.Lock()
	limit := s.handler.Config.Limits.Pending
	wait := s.handler.Config.Timeouts.ServerRequest
	flood := len(s.asks) >= 2*limit
	if !flood {
		s.asks[a.id] = a
	}
	s.mu.Unlock()
	if flood {
		return // as many as there may be are being refused
	}
	var err error
	switch m.Method() {
	case "sampling/createMessage", "elicitation/create", "roots/list":
		if c == nil || c.held == nil || !mayRequire(c.msg.Method()) {
			err = errNobody
			break
		}
		c.hold()
		if err = c.held.ask(p, a, limit); err != nil {
			c.unhold()
		}
	default:
		err = noMethod(m.Method())
	}
	asked := err == nil
	started := s.spawn(func() {
		defer func() {
			s.mu.Lock()
			delete(s.asks, a.id)
			s.mu.Unlock()
			if asked {
				c.held.drop(a)
				c.unhold()
			}
		}()
		var answer []byte
		if err == nil {
			ctx, cancel := context.WithTimeoutCause(s.ctx, wait, errUnanswered)
			answer, err = a.wait(ctx)
			cancel()
		}
		s.hub.opts.Trace.serverRequest(s.route, p.cluster, m.Method(), err)
		switch {
		case errors.Is(err, errWithdrawn):
			return
		case errors.Is(err, errUnanswered):
			c.cancel(err) // nobody will ever take the call up
		}
		if err != nil {
			answer = failed(asFailure(err)).body(m.ID())
		}
		a.reply(s.ctx, answer)
	})
	if !started && asked {
		c.unhold() // the session has ended, and the call with it
	}
}

// mayAsk reports whether servers may ask the client of a modern request.
func (s *session) mayAsk() bool {
	if !s.modern() {
		return false
	}
	init, err := jsonrpc.ParseValue(s.init)
	caps := init.Get("capabilities")
	return err == nil && (caps.Get("elicitation").Exists() || caps.Get("sampling").Exists() || caps.Get("roots").Exists())
}

// asFailure answers a server whose request cannot be brought to its client.
func asFailure(err error) error {
	var own *failure
	if errors.As(err, &own) {
		return err
	}
	if errors.Is(err, errNobody) {
		return &failure{code: jsonrpc.CodeMethodNotFound, text: "the client takes no requests here"}
	}
	return &failure{code: jsonrpc.CodeInternalError, text: err.Error()}
}

// wait waits for the client's answer.
func (a *ask) wait(ctx context.Context) ([]byte, error) {
	up := a.link.wait(ctx)
	if up == nil {
		return nil, errNobody
	}
	select {
	case m := <-a.answer:
		var e jsonrpc.Edits
		e.SetID(m, a.msg.ID())
		return e.Apply(m), nil
	case <-a.withdrew:
		return nil, errWithdrawn
	case <-up.Done():
		return nil, errEnded
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// ask adds a question, and sends it to the client if it waits for an answer.
func (k *held) ask(p *peer, a *ask, limit int) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.final != nil {
		return errNobody
	}
	if len(k.asks) >= limit {
		return errPending
	}
	k.keys++
	a.key = strconv.Itoa(k.keys)
	var e jsonrpc.Edits
	p.mapper().request(&e, a.msg.Method(), a.msg.Params())
	a.params = e.ApplyTo(a.msg.Params())
	k.asks = append(k.asks, a)
	if k.id == "" {
		k.park()
	}
	return nil
}

// drop forgets a question that needs no answer any more.
func (k *held) drop(a *ask) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, other := range k.asks {
		if other == a {
			k.asks = append(k.asks[:i:i], k.asks[i+1:]...)
			return
		}
	}
}

// park answers the client's request with the questions. k.mu is held.
func (k *held) park() {
	hub := k.c.session.hub
	k.id, k.parked = rand.Text(), make(chan struct{})
	if !hub.hold(k) {
		k.c.cancel(errPending)
		return
	}
	asked := make([]inputRequest, len(k.asks))
	for i, a := range k.asks {
		asked[i] = inputRequest{a.key, a.msg.Method(), a.params}
	}
	body := k.c.inputRequired(asked, requestState{Cluster: k.c.asked(), Held: k.id})
	k.c.stream.finish(http.StatusOK, jsonrpc.NewResult(k.msg.ID(), body))
}

// conclude takes the answer of the call.
func (k *held) conclude(status int, body []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.final, k.status = body, status
	if k.id == "" {
		k.c.stream.finish(status, k.addressed())
	}
}

// addressed is the answer with the id of the request that it answers now.
func (k *held) addressed() []byte {
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
func (k *held) current() *jsonrpc.Message {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.msg
}

// waits reports whether the client has the word. The HTTP request that gave it
// to the client says so when it is through.
func (k *held) waits() (parked chan struct{}, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.parked, k.id != ""
}

// resume goes on with the call for the request m, which brings answers.
func (k *held) resume(m *jsonrpc.Message) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.msg, k.id = m, ""
	k.c.stream.reopen()
	if k.final != nil {
		k.c.stream.finish(k.status, k.addressed())
		return
	}
	var open []*ask
	for _, a := range k.asks {
		answer := m.Params().Get("inputResponses", a.key)
		if !answer.Exists() {
			open = append(open, a) // it is asked again
			continue
		}
		response, err := jsonrpc.Parse(jsonrpc.NewResult(a.msg.ID(), answer.Raw()))
		if err != nil {
			open = append(open, a)
			continue
		}
		a.answer <- response
	}
	k.asks = open
	if len(open) > 0 {
		k.park()
	}
}

// hold keeps a parked call. It reports false when there is no room.
func (h *Hub) hold(k *held) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || len(h.held) >= heldLimit {
		return false
	}
	h.held[k.id] = k
	k.timer = time.AfterFunc(k.c.handler.Config.Timeouts.ServerRequest, func() { h.take(k.id) })
	return true
}

// take returns a parked call, once.
func (h *Hub) take(id string) *held {
	h.mu.Lock()
	defer h.mu.Unlock()
	k := h.held[id]
	if k != nil {
		k.timer.Stop()
		delete(h.held, id)
	}
	return k
}

// proceed serves the request of a client that brings what a parked call waits
// for.
func (h *Handler) proceed(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message, a accept, id string) {
	k := h.hub.take(id)
	if k == nil {
		reject(w, r, m.ID(), invalid(errState.Error()))
		return
	}
	parked, _ := k.waits()
	select {
	case <-parked:
	case <-r.Context().Done():
		k.c.cancel(errGone)
		return
	}
	filter.RecordFrom(r.Context()).SetCluster(k.c.asked())
	k.resume(m)
	h.attend(w, r, k, a)
}

// attend writes what the call has to say, until it is through or asks for
// input.
func (h *Handler) attend(w http.ResponseWriter, r *http.Request, k *held, a accept) {
	// Nobody could ever fetch the answer of a client that has gone; of a modern
	// one it is the cancellation. One that has the word may go.
	stop := context.AfterFunc(r.Context(), func() {
		if _, ok := k.waits(); !ok {
			k.c.cancel(errGone)
		}
	})
	h.serve(w, r, k.c.stream, !a.json, k.interrupted)
	stop()
	if parked, ok := k.waits(); ok {
		close(parked)
		return
	}
	k.c.cancel(errGone)
	<-k.done
}

// interrupted is the answer of a call whose connection must end first.
func (k *held) interrupted() []byte {
	return interruption(k.current().ID())
}
