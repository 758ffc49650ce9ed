package upstream

import (
	"context"
	"errors"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// era is how a server of one of the two eras is spoken to: stateful, where
// initialize has begun a session, and stateless, where there is none.
type era interface {
	// call makes a call for the client, and returns the answer with the call's id.
	call(ctx context.Context, r request) (*jsonrpc.Message, error)
	// send takes a notification or a response of the client.
	send(ctx context.Context, msg []byte) error
	// ping asks the server for a sign of life.
	ping(ctx context.Context) error
	// listen is that of the transport. It may be called again.
	listen() <-chan struct{}
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
	m, err := s.ask(ctx, method, append(jsonrpc.AppendString([]byte(`{"uri":`), uri), '}'))
	if err == nil && m.IsError() {
		err = errors.New(snippet([]byte(m.ErrorMessage())))
	}
	return err
}

// watchTask has nothing to do: a server with sessions tells without being asked.
func (s *stateful) watchTask(context.Context, string) error { return nil }
