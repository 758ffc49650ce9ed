package upstream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// discoverTime is how long a server that may have sessions is waited for: some
// do not answer what they do not know.
const discoverTime = 3 * time.Second

// maxDiscover is the longest answer to server/discover that is taken, in bytes:
// that of each endpoint is remembered.
const maxDiscover = 1 << 20

// legacyAge is how long it is believed that a server knows no revision without
// sessions: it may be replaced by a newer one. To ask a command again can cost
// a process, and the command changes with the configuration only.
const (
	legacyAge        = 5 * time.Minute
	legacyAgeCommand = time.Hour
)

// negotiate finds out whether the server has sessions, and begins one or learns
// who it is without. The client's own era comes first: nothing is lost in
// translation where the server speaks both (MCP 2026-07-28, Versioning,
// Backward Compatibility).
func (o *opening) negotiate(ctx context.Context, s *Session) error {
	learn, known := o.shared(o.cluster, o.endpoint)
	k := known()
	switch {
	case o.forced == spec.Modern:
		return o.discover(ctx, s, learn, known)
	case o.forced != "", s.kind == SSE:
		return o.initialize(ctx, s)
	case o.asks(k):
		err := o.discover(ctx, s, learn, known)
		if err == nil || !hasSessions(ctx, err) || s.kind == Stdio && errors.Is(err, errNoAnswer) {
			return err
		}
		learn(func(k *spoken) { k.modern = false })
		if o.opts.spare != nil && tells(err) {
			learnLegacy(learn, err)
			return nil
		}
		if errInit := o.initialize(ctx, s); errInit != nil {
			return errInit
		}
		if tells(err) {
			learnLegacy(learn, err)
		}
		return nil
	}
	err := o.initialize(ctx, s)
	var refused *InitializeError
	if !errors.As(err, &refused) || !refused.Response.IsError() {
		return err
	}
	if o.discover(ctx, s, learn, known) != nil {
		return err
	}
	learn(func(k *spoken) { k.modern = true })
	return nil
}

// asks reports whether server/discover comes first.
func (o *opening) asks(k spoken) bool {
	return o.forced == "" && !o.fallback && (o.opts.Modern && !k.isLegacy(o.cluster) || k.modern)
}

// learnLegacy remembers that initialize is what the server knows; why is what
// became of server/discover.
func learnLegacy(learn func(func(*spoken)), why error) {
	var list *notListedError
	listed := []string(nil)
	if errors.As(why, &list) {
		listed = list.versions
	}
	learn(func(k *spoken) {
		k.legacy, k.why, k.listed, k.discover, k.modern = time.Now(), snippet([]byte(why.Error())), listed, nil, false
		k.doubted = false
	})
}

// describe tells operators what the session has found out.
func (o *opening) describe(s *Session) {
	_, known := o.shared(o.cluster, o.endpoint)
	switch why := known().why; {
	case o.forced != "":
		o.endpoint.SetProtocol(o.forced + ", as mcp.protocol says")
	case s.Modern():
		o.endpoint.SetProtocol(spec.Modern + ", which server/discover lists")
	case s.Version() == "":
		o.endpoint.SetProtocol("a revision with sessions, since " + why)
	case why != "":
		o.endpoint.SetProtocol(s.Version() + " by initialize, since " + why)
	default:
		o.endpoint.SetProtocol(s.Version() + " by initialize")
	}
}

// errNoAnswer: the server does not answer server/discover.
var errNoAnswer = errors.New("no answer")

// errNotListed: the server does not list the revision without sessions.
var errNotListed = errors.New("the server does not list " + spec.Modern)

// hasSessions reports whether an error of server/discover may be that of a
// server that has sessions: anything but that it cannot be reached, or not by
// us.
func hasSessions(ctx context.Context, err error) bool {
	return ctx.Err() == nil && !NotSent(err) && !errors.Is(err, ErrUnauthorized) && !errors.Is(err, ErrSessionLost)
}

// tells reports whether an error of server/discover says something about the
// server, and not about the moment.
func tells(err error) bool {
	var status *StatusError
	if errors.As(err, &status) {
		return status.Code < http.StatusInternalServerError && status.Code != http.StatusTooManyRequests
	}
	return errors.Is(err, errNotListed) || errors.Is(err, errNoAnswer)
}

// discover asks the server who it is, unless another session has learnt that.
func (o *opening) discover(ctx context.Context, s *Session, learn func(func(*spoken)), known func() spoken) error {
	client, err := jsonrpc.ParseValue(o.params)
	if err != nil {
		return &unsentError{err}
	}
	// Ids are not to be used again by the next session, which to the server is
	// the same client. They stay within what every JSON parser keeps exact.
	_, isShared := s.transport.(*sharedTransport)
	if !isShared {
		s.ids.Store(rand.Int64N(1 << 52))
	}
	k := known()
	s.stateless = &stateless{client: client, learn: learn, known: known, discover: k.discover}
	if k.discover == nil || k.doubted {
		m, err := s.discoverFirst(ctx, o.forced == spec.Modern)
		if err != nil {
			s.stateless = nil
			if !isShared {
				s.ids.Store(0)
			}
			return fmt.Errorf("server/discover: %w", err)
		}
		s.stateless.discover = m
		learn(func(k *spoken) { k.discover, k.doubted = m, false })
	}
	if err := s.keep(introduction(client, s.stateless.discover)); err != nil {
		s.stateless = nil
		return &unsentError{fmt.Errorf("server/discover: %w", err)} // to initialize takes as much
	}
	version := spec.Modern
	s.version.Store(&version)
	return nil
}

// discoverFirst asks a server of which nothing is known. One that does not
// answer leaves enough time to initialise.
func (s *Session) discoverFirst(ctx context.Context, forced bool) (*jsonrpc.Message, error) {
	switch {
	case forced:
		return s.discoverNow(ctx, true) // there is nothing to save time for
	case s.kind == Stdio:
		return s.discoverStarting(ctx)
	}
	within := discoverTime
	if deadline, ok := ctx.Deadline(); ok {
		within = min(within, time.Until(deadline)/2)
	}
	short, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	m, err := s.discoverNow(short, false)
	if err != nil && short.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w within %v", errNoAnswer, within.Round(time.Millisecond))
	}
	return m, err
}

// discoverNow asks the server.
func (s *Session) discoverNow(ctx context.Context, forced bool) (*jsonrpc.Message, error) {
	req, err := jsonrpc.Parse(jsonrpc.NewRequest(s.NextID(), spec.ServerDiscover, nil))
	if err != nil {
		return nil, err
	}
	m, err := s.post(ctx, req, nil, nil)
	if err == nil && lists(m.Error().Get("data", "supported")) {
		m, err = s.post(ctx, req, nil, nil) // it says that it would take what it refused
	}
	switch {
	case err != nil:
		return nil, err
	case m.IsError():
		err := fmt.Errorf("%w: it answered with error %d: %s", errNotListed, m.ErrorCode(), snippet([]byte(m.ErrorMessage())))
		return nil, notListed(err, m.Error().Get("data", "supported"))
	case len(m.Raw()) > maxDiscover:
		return nil, fmt.Errorf("%w in at most %d bytes", errNotListed, maxDiscover)
	case forced:
		return m, nil
	}
	if !lists(m.Result().Get("supportedVersions")) {
		return nil, notListed(errNotListed, m.Result().Get("supportedVersions"))
	}
	return m, nil
}

// lists reports whether the revision without sessions is among these.
func lists(supported jsonrpc.Value) bool { return contains(supported, spec.Modern) }

// contains reports whether a version is among these.
func contains(supported jsonrpc.Value, wanted string) bool {
	for _, version := range supported.Each {
		if version.String() == wanted {
			return true
		}
	}
	return false
}

// introduction is what a server without sessions would have answered to
// initialize.
func introduction(client jsonrpc.Value, discover *jsonrpc.Message) *jsonrpc.Message {
	res := discover.Result()
	b := []byte(`{"protocolVersion":`)
	b = append(b, client.Get("protocolVersion").Raw()...)
	b = append(b, `,"capabilities":`...)
	if caps := res.Get("capabilities"); caps.Kind() == jsonrpc.Object {
		b = append(b, caps.Raw()...)
	} else {
		b = append(b, "{}"...)
	}
	b = append(b, `,"serverInfo":`...)
	info := res.Get("_meta", jsonrpc.MetaServerInfo)
	if info.Kind() != jsonrpc.Object {
		info = res.Get("serverInfo") // where drafts had it
	}
	if info.Kind() == jsonrpc.Object {
		b = append(b, info.Raw()...)
	} else {
		b = append(b, `{"name":"unknown","version":"unknown"}`...)
	}
	if said := res.Get("instructions"); said.Kind() == jsonrpc.String {
		b = append(append(b, `,"instructions":`...), said.Raw()...)
	}
	m, err := jsonrpc.Parse(jsonrpc.NewResult(discover.ID(), append(b, '}')))
	if err != nil { // it is made of what was parsed
		return discover
	}
	return m
}

// rediscover asks again, and learns what is not as it was.
func (s *Session) rediscover(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, discoverTime)
	defer cancel()
	m, err := s.discoverNow(ctx, false)
	switch {
	case err == nil:
		s.stateless.learn(func(k *spoken) { k.discover, k.doubted = m, false })
		return nil
	case errors.Is(err, errNotListed):
		s.stateless.learn(func(k *spoken) { k.discover, k.modern = nil, false })
		return nil // an answer all the same
	}
	return err
}

// doubt makes the next session ask the server who it is.
func (s *Session) doubt() { s.stateless.learn(func(k *spoken) { k.doubted = true }) }

// Ping asks the server for a sign of life.
func (s *Session) Ping(ctx context.Context) error {
	if s.Modern() {
		return because(ctx, s.rediscover(ctx))
	}
	id := s.NextID()
	_, err := s.Call(ctx, jsonrpc.NewRequest(id, spec.Ping, nil), id, nil)
	return err
}
