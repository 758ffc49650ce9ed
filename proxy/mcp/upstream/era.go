package upstream

import (
	"context"
	"errors"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// era is how a server of one of the two eras is spoken to: stateful, where
// initialize has begun a session, and stateless, where there is none. A session that
// passes messages on is of neither: passing.
type era interface {
	// call makes a call for the client, and returns the answer with the call's id.
	call(ctx context.Context, r request) (*jsonrpc.Message, error)
	// send takes a notification or a response of the client.
	send(ctx context.Context, msg []byte) error
	// ping asks the server for a sign of life.
	ping(ctx context.Context) error
	// listen is that of the transport.
	listen(heard func())
	// subscribe begins or ends to hear of changes of a resource. It returns when
	// the server knows, or with an error when it does not take the subscription.
	subscribe(ctx context.Context, uri string, on bool) error
	// watchTask begins to hear of a task, where the server tells only who asks.
	watchTask(ctx context.Context, id string) error
}

// stateful is the era of servers that initialize.
type stateful struct {
	transport
	ids *ids
}

func (s *stateful) call(ctx context.Context, r request) (*jsonrpc.Message, error) {
	m, err := s.transport.call(ctx, r)
	return answerTo(r.id, m), err
}

// ask makes a request of the gateway's own.
func (s *stateful) ask(ctx context.Context, method string, params []byte) (*jsonrpc.Message, error) {
	id := s.ids.next()
	return s.call(ctx, request{body: jsonrpc.NewRequest(id, method, params), id: id})
}

func (s *stateful) ping(ctx context.Context) error {
	_, err := s.ask(ctx, spec.Ping, nil)
	return err
}

func (s *stateful) subscribe(ctx context.Context, uri string, on bool) error {
	method := spec.ResourcesSubscribe
	if !on {
		method = spec.ResourcesUnsubscribe
	}
	m, err := s.ask(ctx, method, jsonrpc.NewObject("uri", uri))
	if err == nil && m.IsError() {
		err = errors.New(snippet([]byte(m.ErrorMessage())))
	}
	return err
}

// watchTask has nothing to do: a server with sessions tells without being asked.
func (s *stateful) watchTask(context.Context, string) error { return nil }

// answerTo gives an answer the id of the call that it ends: of one that took
// several requests each had its own, and some servers write 5 as "5" or 5.0.
func answerTo(id jsonrpc.ID, m *jsonrpc.Message) *jsonrpc.Message {
	if m == nil || string(m.RawID()) == id.Raw() {
		return m
	}
	var e jsonrpc.Edits
	e.SetID(m, id)
	answer, err := jsonrpc.Parse(e.Apply(m))
	if err != nil { // it was parsed before
		return m
	}
	return answer
}
