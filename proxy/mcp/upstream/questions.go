package upstream

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// questions are what a server without sessions has asked a client that expects
// requests of the server in their place. The zero questions are none.
type questions struct{ by sync.Map } // jsonrpc.ID → chan *jsonrpc.Message

// answered takes an answer of the client.
func (q *questions) answered(m *jsonrpc.Message) {
	if waiting, ok := q.by.LoadAndDelete(m.ID()); ok {
		waiting.(chan *jsonrpc.Message) <- m // it has room
	}
}

// fulfil shows the client what the server wants to know, res, and returns the next
// try of the request m, with this id (MCP 2026-07-28, Multi Round-Trip Requests), or
// the error response by which the client refuses. It ends with ctx, and with life, that of the session.
func (q *questions) fulfil(ctx, life context.Context, m *jsonrpc.Message, next jsonrpc.ID, res jsonrpc.Value, show func(*jsonrpc.Message)) (try, refusal *jsonrpc.Message, err error) {
	type question struct {
		key, method string
		answer      chan *jsonrpc.Message
	}
	var asked []question
	for key, input := range res.Get("inputRequests").Each {
		id, answer := jsonrpc.StringID(rand.Text()), make(chan *jsonrpc.Message, 1)
		q.by.Store(id, answer)
		defer q.by.Delete(id)
		request, err := jsonrpc.Parse(jsonrpc.NewRequest(id, input.Get("method").String(), input.Get("params").Raw()))
		if err != nil {
			return nil, nil, fmt.Errorf("%w: it asks for input in a way that cannot be read: %w", ErrProtocol, err)
		}
		asked = append(asked, question{key, request.Method(), answer})
		show(request)
	}
	var responses []any
	for _, one := range asked {
		var answer *jsonrpc.Message
		select {
		case answer = <-one.answer:
		case <-ctx.Done():
			return nil, nil, &interruptedError{context.Cause(ctx)}
		case <-life.Done():
			return nil, nil, &interruptedError{context.Cause(life)}
		}
		result := answer.Result().Raw()
		if answer.IsError() {
			if one.method != spec.ElicitationCreate {
				return nil, answer, nil
			}
			result = []byte(`{"action":"cancel"}`)
		}
		responses = append(responses, one.key, result)
	}
	var e jsonrpc.Edits
	e.SetID(m, next)
	e.Set(m.Params(), "inputResponses", jsonrpc.NewObject(responses...))
	if state := res.Get("requestState"); state.Exists() {
		e.Set(m.Params(), "requestState", state.Raw())
	} else {
		e.Delete(m.Params(), "requestState")
	}
	try, err = jsonrpc.Parse(e.Apply(m))
	return try, nil, err
}
