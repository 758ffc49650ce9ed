package mcp

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
	"github.com/mcpgateway/mcpgateway/listeners"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/downstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// subprotocol is selected when a client offers it (RFC 6455 section 1.9).
const subprotocol = "mcp"

// openWebSocket serves a session over a WebSocket: one message a text frame,
// or several frames, either way.
func (h *Handler) openWebSocket(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		downstream.NotAllowed(w, r, "GET")
		return
	}
	if r.ProtoMajor != 1 || !slices.ContainsFunc(r.Header.Values("Upgrade"), func(v string) bool { return strings.EqualFold(v, "websocket") }) {
		if r.ProtoMajor == 1 {
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "websocket") // RFC 9110 section 15.5.22
		}
		downstream.Refuse(w, r, http.StatusUpgradeRequired, jsonrpc.CodeInvalidRequest, jsonrpc.ID{}, "this is a WebSocket over HTTP/1.1")
		return
	}
	s, err := h.openLine(r, false)
	if err != nil {
		h.overloaded(w, r, jsonrpc.ID{}, err)
		return
	}
	defer s.life.exit()
	defer s.line.stream.End()
	// The guard has judged the Origin.
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{subprotocol}, InsecureSkipVerify: true})
	info := filter.RequestInfoFrom(r.Context())
	if err != nil {
		info.SetReason(err.Error())
		return
	}
	ws.SetReadLimit(int64(h.route.Limits.Message))
	conn := listeners.FromContext(r.Context())
	defer h.hub.streamBegun(h.route.Name, conn)()
	k := &socket{ws: ws, session: s, info: info, header: h.upstreamHeader(r), ending: ending(r), over: make(chan struct{}), errands: make(chan func(), h.route.Limits.Pending)}
	k.serve(filter.PrincipalFrom(r.Context()).ExpiresAt)
}

// socket is a WebSocket that carries a session.
type socket struct {
	ws      *websocket.Conn
	session *session
	info    *filter.RequestInfo // of the upgrade
	header  http.Header
	ending  <-chan struct{} // closed when the connection must end
	over    chan struct{}   // closed when nothing more is read
	last    error           // why; set before
	// errands are what takes time and must keep its order.
	errands chan func()
}

// serve carries the session until one of its ends. expiry is that of the
// client's credentials; zero is never.
func (k *socket) serve(expiry time.Time) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { k.read(ctx) })
	running.Go(k.runErrands)
	running.Go(func() { k.ping(ctx) })
	expired, stop := filter.ExpiryTimer(expiry)
	defer stop()
	code, reason := websocket.StatusNormalClosure, ""
	signals := eventstream.Signals{Ending: k.ending, Over: k.over, Expired: expired}
	switch eventstream.Pump(k.session.line.stream, k, signals) {
	case eventstream.Gone:
		k.parted()
	case eventstream.Ended:
		code, reason = websocket.StatusGoingAway, "the session has ended"
	case eventstream.Answered:
		code, reason = websocket.StatusInternalError, "the session could not begin"
	case eventstream.Drained:
		k.info.SetFlag(filter.FlagDrained)
		code, reason = websocket.StatusGoingAway, "the gateway closes this connection"
	case eventstream.Expired:
		k.info.SetFlag(filter.FlagUnauthorized)
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
		k.info.SetFlag(filter.FlagDownstreamConnectionTermination) // it takes nothing
		return
	}
	switch status := websocket.CloseStatus(k.last); {
	case k.last == nil, errors.Is(k.last, websocket.ErrMessageTooBig):
		k.info.SetFlag(filter.FlagDownstreamProtocolError)
	case status != websocket.StatusNormalClosure && status != websocket.StatusGoingAway:
		k.info.SetFlag(filter.FlagDownstreamConnectionTermination)
	}
}

// Message implements eventstream.Sink.
func (k *socket) Message(msg []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), eventstream.WriteTimeout)
	defer cancel()
	k.info.AddBytes(int64(len(msg)))
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
		route := k.session.life.current()
		lease := k.session.hub.opts.Memory.Lease(memory.Body)
		body, err := lease.ReadAll(message, -1)
		if err != nil {
			lease.Release()
		}
		switch {
		case errors.Is(err, memory.ErrExhausted):
			// What is left of the message would have to be read, and an error that
			// names no request ends no call of the client.
			k.info.SetFlag(filter.FlagOverload)
			_ = k.ws.Close(websocket.StatusTryAgainLater, err.Error())
			return
		case err != nil:
			k.last = err
			return
		}
		if len(body) > int(route.Limits.Message) {
			lease.Release()
			_ = k.ws.Close(websocket.StatusMessageTooBig, "the message is longer than limits.message")
			return
		}
		// No line of the log tells of the RequestInfo of one message: there is one for all.
		src := source{ctx: ctx, info: filter.RequestInfoFrom(ctx), header: k.header, run: func(f func()) {
			kept := new(memory.Lease)
			lease.MoveTo(kept)
			k.errands <- func() { defer kept.Release(); f() }
		}}
		if err := k.session.line.handle(route, src, body); err != nil {
			k.session.line.Finish(http.StatusOK, jsonrpc.NewError(jsonrpc.ID{}, parseCode(err), err.Error(), nil))
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
