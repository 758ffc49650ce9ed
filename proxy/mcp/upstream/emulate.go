package upstream

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// maxRounds bounds how often a server may ask for input within one call.
const maxRounds = 16

// asked is what a session that is played knows of its client: the log level
// that it set, and what it was asked.
type asked struct {
	mu      sync.Mutex
	level   string
	answers map[jsonrpc.ID]chan *jsonrpc.Message
}

func (a *asked) logLevel() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.level
}

// emulated answers, for a server without sessions, what only concerns one. ok is
// false for everything else.
func (s *Session) emulated(ctx context.Context, m *jsonrpc.Message) (answer *jsonrpc.Message, ok bool, err error) {
	switch m.Method() {
	case spec.Ping:
	case spec.LoggingSetLevel:
		a := &s.stateless.asked
		a.mu.Lock()
		a.level = m.Params().Get("level").String()
		a.mu.Unlock()
	case spec.ResourcesSubscribe, spec.ResourcesUnsubscribe:
		err = s.Subscribe(ctx, m.Params().Get("uri").String(), m.Method() == spec.ResourcesSubscribe)
	default:
		return nil, false, nil
	}
	if err != nil {
		return nil, true, err
	}
	answer, err = jsonrpc.Parse(jsonrpc.NewResult(m.ID(), nil))
	return answer, true, err
}

// sendModern takes what a client of a session says unasked. A server without
// sessions hears of none of it, but for cancellation where there is no
// connection of the call's own to close (MCP 2026-07-28, Cancellation).
func (s *Session) sendModern(ctx context.Context, msg []byte) error {
	m, err := jsonrpc.Parse(msg)
	if err != nil {
		return &unsentError{err}
	}
	if m.Kind() == jsonrpc.Response {
		s.stateless.asked.answered(m)
		return nil
	}
	if m.Method() == spec.NotificationCancelled && s.kind == Stdio {
		return s.transport.send(ctx, msg)
	}
	return nil
}

func (a *asked) answered(m *jsonrpc.Message) {
	a.mu.Lock()
	waiting := a.answers[m.ID()]
	delete(a.answers, m.ID())
	a.mu.Unlock()
	if waiting != nil {
		waiting <- m // it has room
	}
}

func (a *asked) ask() (jsonrpc.ID, chan *jsonrpc.Message) {
	id, answer := jsonrpc.StringID(rand.Text()), make(chan *jsonrpc.Message, 1)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.answers == nil {
		a.answers = map[jsonrpc.ID]chan *jsonrpc.Message{}
	}
	a.answers[id] = answer
	return id, answer
}

func (a *asked) forget(id jsonrpc.ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.answers, id)
}

// refusedError: the client does not give what the server wants to know.
type refusedError struct{ response *jsonrpc.Message }

func (e *refusedError) Error() string { return "the client gave no answer" }

// fulfil asks the client what the server wants to know, and returns the next
// try of the request (MCP 2026-07-28, Multi Round-Trip Requests).
func (s *Session) fulfil(ctx context.Context, m *jsonrpc.Message, res jsonrpc.Value, on func(*jsonrpc.Message)) (*jsonrpc.Message, error) {
	type question struct {
		key, method string
		id          jsonrpc.ID
		answer      chan *jsonrpc.Message
	}
	var questions []question
	a := &s.stateless.asked
	for key, q := range res.Get("inputRequests").Each {
		id, answer := a.ask()
		defer a.forget(id)
		request, err := jsonrpc.Parse(jsonrpc.NewRequest(id, q.Get("method").String(), q.Get("params").Raw()))
		if err != nil {
			return nil, fmt.Errorf("%w: it asks for input in a way that cannot be read: %w", ErrProtocol, err)
		}
		questions = append(questions, question{key, request.Method(), id, answer})
		s.route(request, on)
	}
	responses := []byte{'{'}
	for i, q := range questions {
		var answer *jsonrpc.Message
		select {
		case answer = <-q.answer:
		case <-ctx.Done():
			return nil, &interruptedError{context.Cause(ctx)}
		case <-s.life.Done():
			return nil, &interruptedError{context.Cause(s.life)}
		}
		result := answer.Result().Raw()
		if answer.IsError() {
			if q.method != spec.ElicitationCreate {
				return nil, &refusedError{answer}
			}
			result = []byte(`{"action":"cancel"}`)
		}
		if i > 0 {
			responses = append(responses, ',')
		}
		responses = append(append(jsonrpc.AppendString(responses, q.key), ':'), result...)
	}
	var e jsonrpc.Edits
	e.SetID(m, s.NextID())
	e.Set(m.Params(), "inputResponses", append(responses, '}'))
	if state := res.Get("requestState"); state.Exists() {
		e.Set(m.Params(), "requestState", state.Raw())
	} else {
		e.Delete(m.Params(), "requestState")
	}
	return jsonrpc.Parse(e.Apply(m))
}
