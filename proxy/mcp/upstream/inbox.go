package upstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/sse"
)

// maxReplies bounds the answers of this hop's own that are on their way.
const maxReplies = 4

// inbox takes what the server sends that is no answer to a call: it hands
// messages to the owner of the session, answers what concerns this hop alone, and
// reports what reaches no client.
type inbox struct {
	*reporter
	life   *lifetime
	limits *limits
	// onMessage gets the messages that belong to no call; nil: none does.
	onMessage func(*jsonrpc.Message)
	passes    bool // all messages, this hop's too, are for the owner
	// send is the transport's. It is set before the first message is read.
	send    func(ctx context.Context, msg []byte) error
	replies atomic.Int64 // on their way
}

// route hands a notification or request of the server to on, or, where that is
// nil, to the owner of the session.
func (in *inbox) route(m *jsonrpc.Message, on func(*jsonrpc.Message)) {
	if on == nil {
		on = in.onMessage
	}
	switch {
	case !in.passes && m.Kind() == jsonrpc.Response:
		in.ignore(fmt.Errorf("response to no call, id %s", m.ID()))
	case !in.passes && m.Kind() == jsonrpc.Request && m.Method() == spec.Ping:
		in.reply("a ping", jsonrpc.NewResult(m.ID(), nil))
	case on != nil:
		on(m)
	}
}

// refuse tells of a notification or a request of the server that no client gets, and
// answers the request. id is zero for a notification.
func (in *inbox) refuse(id jsonrpc.ID, why, ignored error) {
	in.ignore(ignored)
	if id.IsZero() {
		return
	}
	in.reply("an unreadable request", jsonrpc.NewError(id, jsonrpc.CodeInvalidRequest, why.Error(), nil))
}

// reply answers a request of the server that concerns this hop alone.
func (in *inbox) reply(what string, answer []byte) {
	if in.replies.Add(1) > maxReplies {
		in.replies.Add(-1)
		in.ignore(fmt.Errorf("%s while %d are being answered", what, maxReplies))
		return
	}
	replying := in.life.spawn(func() {
		defer in.replies.Add(-1)
		if err := in.send(in.life.ctx, answer); err != nil {
			in.ignore(fmt.Errorf("answer %s: %w", what, err))
		}
	})
	if !replying {
		in.replies.Add(-1)
	}
}

// messages returns the messages in an event of a stream that answers no call.
func (in *inbox) messages(event sse.Event) []*jsonrpc.Message {
	if !isMessageEvent(event) {
		return nil
	}
	messages, err := parse(event.Data)
	if err != nil {
		in.unreadable(event.Data, err)
	}
	return slices.DeleteFunc(messages, func(m *jsonrpc.Message) bool {
		if in.limits.oversized(m) {
			in.passOver(m.Kind() != jsonrpc.Response, m.ID())
			return true
		}
		return false
	})
}

// unreadable takes what is no message and answers no call.
func (in *inbox) unreadable(b []byte, why error) {
	if !in.drops(b, why) {
		in.ignore(why)
	}
}

// drops takes a notification or a request of the server that is no message, and
// reports whether it was meant as one. Calls go on without a notification, and a
// server that asks is told.
func (in *inbox) drops(b []byte, why error) bool {
	id, method, ok := salvage(b)
	if !ok || method == "" {
		return false
	}
	in.refuse(id, why, &DroppedError{snippet([]byte(method)), why})
	return true
}

// passOver takes a message that is too long and that answers no call. A server that
// asks is told.
func (in *inbox) passOver(isCall bool, id jsonrpc.ID) {
	if !isCall {
		in.ignore(errors.New("what the server sent is longer than limits.result, and answers no call"))
		return
	}
	err := fmt.Errorf("a message of the server is longer than limits.message (%s)", config.Size(in.limits.message.Load()))
	in.refuse(id, err, err)
}
