package downstream

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/session"
)

// subprotocol is selected when a client offers it (RFC 6455 section 1.9).
const subprotocol = "mcp"

// webSocket serves sessions over WebSockets: one message a text frame, or several
// frames, either way.
type webSocket struct{ *endpoint }

// open opens a session, and carries it until one of its ends.
func (h webSocket) open(x exchange) {
	if !x.allows(http.MethodGet) {
		return
	}
	if x.r.ProtoMajor != 1 || !slices.ContainsFunc(x.r.Header.Values("Upgrade"), func(v string) bool { return strings.EqualFold(v, "websocket") }) {
		if x.r.ProtoMajor == 1 {
			x.w.Header().Set("Connection", "Upgrade")
			x.w.Header().Set("Upgrade", "websocket") // RFC 9110 section 15.5.22
		}
		x.refuse(http.StatusUpgradeRequired, jsonrpc.ID{}, "this is a WebSocket over HTTP/1.1")
		return
	}
	t, ok := h.openStream(x, session.WebSocket)
	if !ok {
		return
	}
	defer t.close()
	// The guard has judged the Origin.
	ws, err := websocket.Accept(x.w, x.r, &websocket.AcceptOptions{Subprotocols: []string{subprotocol}, InsecureSkipVerify: true})
	if err != nil {
		x.info().SetReason(err.Error())
		return
	}
	ws.SetReadLimit(int64(h.route.Limits.Message))
	defer observer{h.endpoint, x}.Begun()()
	k := &socket{ws: ws, transport: t, from: h.sender(x), over: make(chan struct{}), errands: make(chan func(), h.route.Limits.Pending)}
	k.serve(x)
}

// socket is a WebSocket that carries a session.
type socket struct {
	ws        *websocket.Conn
	transport streamTransport
	from      session.Sender // of the upgrade
	over      chan struct{}  // closed when nothing more is read
	last      error          // why; set before
	// errands are what takes time and must keep its order.
	errands chan func()
}

// serve carries the session until one of its ends.
func (k *socket) serve(x exchange) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { k.read(ctx) })
	running.Go(k.runErrands)
	running.Go(func() { k.ping(ctx) })
	code, reason := websocket.StatusNormalClosure, ""
	switch end := k.transport.pump(x, k, eventstream.Signals{Over: k.over}); end {
	case eventstream.Gone:
		k.parted()
	case eventstream.Ended:
		code, reason = websocket.StatusGoingAway, "the session has ended"
	case eventstream.Answered:
		code, reason = websocket.StatusInternalError, "the session could not begin"
	case eventstream.Drained:
		x.interrupted(end)
		code, reason = websocket.StatusGoingAway, "the gateway closes this connection"
	case eventstream.Expired:
		x.interrupted(end)
		code, reason = websocket.StatusPolicyViolation, "the credentials have expired"
	}
	// A connection that the client has closed, or that was closed for what it
	// sent, is not closed again.
	_ = k.ws.Close(code, reason)
	cancel()
	running.Wait()
}

// parted notes how the client went, where it did not say farewell.
func (k *socket) parted() {
	select {
	case <-k.over:
	default:
		k.from.Info.SetFlag(filter.FlagDownstreamConnectionTermination) // it takes nothing
		return
	}
	switch status := websocket.CloseStatus(k.last); {
	case k.last == nil, errors.Is(k.last, websocket.ErrMessageTooBig):
		k.from.Info.SetFlag(filter.FlagDownstreamProtocolError)
	case status != websocket.StatusNormalClosure && status != websocket.StatusGoingAway:
		k.from.Info.SetFlag(filter.FlagDownstreamConnectionTermination)
	}
}

// Message implements eventstream.Sink.
func (k *socket) Message(msg []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), eventstream.WriteTimeout)
	defer cancel()
	k.from.Info.AddBytes(int64(len(msg)))
	return k.ws.Write(ctx, websocket.MessageText, msg)
}

// Alive implements eventstream.Sink. A WebSocket is kept alive by ping.
func (k *socket) Alive() error { return nil }

// ping shows the client, and all between, that the connection is in use, and
// finds out whether the client is there.
func (k *socket) ping(ctx context.Context) {
	tick := time.NewTicker(eventstream.Keepalive)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		waiting, cancel := context.WithTimeout(ctx, eventstream.WriteTimeout)
		err := k.ws.Ping(waiting)
		cancel()
		if err != nil && ctx.Err() == nil {
			_ = k.ws.CloseNow() // which ends read
			return
		}
	}
}

// read takes the client's messages. It ends with the connection.
func (k *socket) read(ctx context.Context) {
	defer close(k.over)
	defer close(k.errands)
	for {
		kind, message, err := k.ws.Reader(ctx)
		if err != nil {
			k.last = err
			return
		}
		if kind != websocket.MessageText {
			_ = k.ws.Close(websocket.StatusUnsupportedData, "messages are text")
			return
		}
		from := k.from
		// No line of the log tells of the RequestInfo of one message: there is one for all.
		from.Route, from.Info = k.transport.s.Current(), filter.RequestInfoFrom(ctx)
		lease := k.transport.route.Memory().Lease(memory.Body)
		body, err := lease.ReadAll(message, -1)
		long := len(body) > int(from.Route.Limits.Message)
		if err != nil || long {
			lease.Release()
		}
		switch {
		case errors.Is(err, memory.ErrExhausted):
			// What is left of the message would have to be read, and an error that
			// names no request ends no call of the client.
			k.from.Info.SetFlag(filter.FlagOverload)
			_ = k.ws.Close(websocket.StatusTryAgainLater, err.Error())
			return
		case err != nil:
			k.last = err
			return
		case long:
			_ = k.ws.Close(websocket.StatusMessageTooBig, "the message is longer than limits.message")
			return
		}
		later := func(f func()) {
			kept := new(memory.Lease)
			lease.MoveTo(kept)
			k.errands <- func() { defer kept.Release(); f() }
		}
		if err := k.transport.take(incoming{from, ctx, later}, body); err != nil {
			k.transport.Finish(http.StatusOK, jsonrpc.NewError(jsonrpc.ID{}, parseCode(err), err.Error(), nil))
		}
		lease.Release() // a call has one of its own
	}
}

// runErrands runs what a client should not wait for, who sends an answer next.
func (k *socket) runErrands() {
	for f := range k.errands {
		f()
	}
}
