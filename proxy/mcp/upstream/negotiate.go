package upstream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// negotiate finds out whether the server has sessions, and begins one or learns
// who it is without. The client's own era comes first: nothing is lost in
// translation where the server speaks both (MCP 2026-07-28, Versioning,
// Backward Compatibility).
func (o *opening) negotiate(ctx context.Context, s *Session) error {
	switch {
	case o.forced == spec.Modern:
		return o.discover(ctx, s)
	case o.forced != "", transports[s.transport.kind()].onlySessions:
		return o.initialize(ctx, s)
	case o.asks(o.known.get()):
		err := o.discover(ctx, s)
		if err == nil || !hasSessions(ctx, err) || o.cluster.IsCommand() && errors.Is(err, errNoAnswer) {
			return err
		}
		o.known.learn(func(k *spoken) { k.modern = false })
		if o.check != nil && o.check.spare != nil && tells(err) {
			o.known.legacy(err)
			return nil
		}
		if errInit := o.initialize(ctx, s); errInit != nil {
			return errInit
		}
		if tells(err) {
			o.known.legacy(err)
		}
		return nil
	}
	err := o.initialize(ctx, s)
	if refused, ok := errors.AsType[*InitializeError](err); !ok || !refused.Response.IsError() {
		return err
	}
	if o.discover(ctx, s) != nil {
		return err
	}
	o.known.learn(func(k *spoken) { k.modern = true })
	return nil
}

// asks reports whether server/discover comes first.
func (o *opening) asks(k spoken) bool {
	return o.forced == "" && !o.fallback && (o.opts.Modern && !k.isLegacy(o.cluster) || k.modern)
}

// initialize begins a session at the server.
func (o *opening) initialize(ctx context.Context, s *Session) error {
	id := s.ids.next()
	m, err := s.transport.call(ctx, request{body: jsonrpc.NewRequest(id, spec.Initialize, o.init), id: id, initializes: true})
	if err != nil {
		return fmt.Errorf("initialize: %w", err)
	}
	if m.IsError() {
		return &InitializeError{m, fmt.Sprintf("the server answered with error %d: %s", m.ErrorCode(), snippet([]byte(m.ErrorMessage())))}
	}
	version := m.Result().Get("protocolVersion").String()
	if !slices.Contains(spec.Initialized(), version) {
		if o.forced == "" {
			return &InitializeError{m, fmt.Sprintf("the server answered with the protocol version %q, which is not one of %q", snippet([]byte(version)), spec.Initialized())}
		}
		version = o.forced // it is forced since the server misreports itself
	}
	server := &Server{Kind: s.transport.kind(), Version: version, Result: m, forced: o.forced}
	if err := s.agree(server, &stateful{s.transport, s.ids}); err != nil {
		return fmt.Errorf("initialize: %w", err)
	}
	if err := s.Send(ctx, jsonrpc.NewNotification(spec.NotificationInitialized, nil)); err != nil {
		return fmt.Errorf("notifications/initialized: %w", err)
	}
	return nil
}

// discover asks the server who it is, unless another session has learnt that.
func (o *opening) discover(ctx context.Context, s *Session) error {
	client, err := jsonrpc.ParseValue(o.init)
	if err != nil {
		return &unsentError{err}
	}
	// Ids are not to be used again by the next session, which to the server is
	// the same client. They stay within what every JSON parser keeps exact.
	if !s.shares() {
		s.ids.startAfter(rand.Int64N(1 << 52))
	}
	r := &requester{transport: s.transport, ids: s.ids, known: o.known, client: client}
	k := o.known.get()
	m := k.discover
	if m == nil || k.doubted {
		if m, err = r.discoverFirst(ctx, o.forced == spec.Modern); err != nil {
			if !s.shares() {
				s.ids.startAfter(0)
			}
			return fmt.Errorf("server/discover: %w", err)
		}
		o.known.discovered(m)
	}
	server := &Server{Kind: s.transport.kind(), Version: spec.Modern, Result: introduction(client, m), Discover: m, forced: o.forced}
	if err := s.agree(server, newStateless(s, r, o, m.Result())); err != nil {
		return &unsentError{fmt.Errorf("server/discover: %w", err)} // to initialize takes as much
	}
	return nil
}

// hasSessions reports whether an error of server/discover may be that of a
// server that has sessions: anything but that it cannot be reached, or not by
// us.
func hasSessions(ctx context.Context, err error) bool {
	return ctx.Err() == nil && !NotSent(err) && !errors.Is(err, ErrUnauthorized) && !errors.Is(err, ErrSessionLost)
}

// tells reports whether an error of server/discover says something about the
// server, and not about the moment.
func tells(err error) bool {
	if status, ok := errors.AsType[*StatusError](err); ok {
		return status.Code < http.StatusInternalServerError && status.Code != http.StatusTooManyRequests
	}
	return errors.Is(err, errNotListed) || errors.Is(err, errNoAnswer)
}

// describe tells operators what the session has found out.
func (o *opening) describe(s *Session) {
	switch why := o.known.get().why; {
	case o.forced != "":
		o.endpoint.SetProtocol(o.forced + ", as mcp.protocol says")
	case s.server.Modern():
		o.endpoint.SetProtocol(spec.Modern + ", which server/discover lists")
	case s.server == nil:
		o.endpoint.SetProtocol("a revision with sessions, since " + why)
	case why != "":
		o.endpoint.SetProtocol(s.server.Version + " by initialize, since " + why)
	default:
		o.endpoint.SetProtocol(s.server.Version + " by initialize")
	}
}
