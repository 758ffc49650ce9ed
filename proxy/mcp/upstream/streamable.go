package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// verifyTime is how long a ping is waited for that tells whether a session is
// lost.
const verifyTime = 5 * time.Second

// maxSessionID bounds the session id that a server may choose.
const maxSessionID = 4096

// drainTime is how long the end of an answer stream is waited for once the
// response was on it: at its end the connection can be used again.
const drainTime = time.Second

// streamable is the Streamable HTTP transport: each call is a POST, and its
// answer is JSON or a stream (MCP 2025-11-25, Transports).
type streamable struct {
	http   *httpClient
	place  *place
	pace   Pace
	life   *lifetime
	in     *inbox
	ids    *ids
	verify time.Duration // bounds the ping that tells whether the session is lost

	id atomic.Value // string: Mcp-Session-Id, "" when the server has none
}

func (*streamable) kind() Kind { return StreamableHTTP }

func (o *opening) connectStreamable(_ context.Context, s *Session) error {
	s.http, s.place.moved = &httpClient{limits: s.limits, header: o.opts.Header}, make(chan struct{})
	s.use(&streamable{http: s.http, place: s.place, pace: clusterPace(), life: s.life, in: s.in, ids: s.ids, verify: verifyTime})
	return nil
}

func (t *streamable) sessionID() string {
	id, _ := t.id.Load().(string)
	return id
}

// roundTrip sends one request, in the session where there is one.
func (t *streamable) roundTrip(ctx context.Context, method string, body []byte, repeats http.Header, lastEventID string) (*http.Response, error) {
	host := t.place.host()
	req, err := t.http.request(ctx, method, host.Target(), body, repeats)
	if err != nil {
		return nil, err
	}
	if id := t.sessionID(); id != "" {
		req.Header.Set(spec.HeaderSession, id)
	}
	if lastEventID != "" {
		req.Header.Set(spec.HeaderLastEventID, lastEventID)
	}
	return t.http.roundTrip(host, req)
}

func (t *streamable) call(ctx context.Context, r request) (*jsonrpc.Message, error) {
	l := newLease(ctx, t.life.calls)
	res, err := t.roundTrip(l.ctx, http.MethodPost, r.body, r.repeats, "")
	if err != nil {
		l.end()
		return nil, err
	}
	kind := mediaType(res)
	if success(res) && r.initializes {
		err = t.begin(res)
	}
	if err == nil && success(res) && kind == typeEvents {
		a := &answer{t: t, lease: l, request: r, caller: callerOf(ctx), position: position{attempts: Attempts{Pace: t.pace}}}
		return a.follow(res)
	}
	defer l.end()
	defer res.Body.Close()
	switch {
	case err != nil:
		return nil, err
	case !success(res):
		return t.refused(l.ctx, res, r.id)
	case kind == typeJSON:
		return t.answerJSON(res, r, callerOf(ctx))
	}
	discard(res.Body)
	return nil, fmt.Errorf("%w: the answer to a request has status %d and content type %q", ErrProtocol, res.StatusCode, snippet([]byte(kind)))
}

// begin takes the session id from the response to initialize.
func (t *streamable) begin(res *http.Response) error {
	id := res.Header.Get(spec.HeaderSession)
	valid := len(id) <= maxSessionID
	for i := range len(id) {
		valid = valid && '!' <= id[i] && id[i] <= '~' // MCP 2025-11-25, Session Management
	}
	if !valid {
		return fmt.Errorf("%w: the session id is not printable ASCII, or too long", ErrProtocol)
	}
	t.id.Store(id)
	return nil
}

func (t *streamable) answerJSON(res *http.Response, r request, caller *Caller) (*jsonrpc.Message, error) {
	body, err := t.in.limits.readAll(res, caller)
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	var response *jsonrpc.Message
	messages, err := parse(body)
	if err != nil {
		return nil, &UnreadableError{err.Error()}
	}
	for _, m := range messages {
		if t.in.answers(m, r.id) {
			response = m
		} else if !t.in.passes {
			t.in.route(m, r.on)
		}
	}
	if response == nil {
		return nil, fmt.Errorf("%w: the answer holds no response to the request: %s", ErrProtocol, snippet(body))
	}
	return response, nil
}

func (t *streamable) send(ctx context.Context, msg []byte) error {
	l := newLease(ctx, t.life.calls)
	defer l.end()
	res, err := t.roundTrip(l.ctx, http.MethodPost, msg, nil, "")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if success(res) {
		discard(res.Body)
		return nil
	}
	_, err = t.refused(l.ctx, res, jsonrpc.ID{})
	return err
}

func (t *streamable) close(ctx context.Context) {
	if t.sessionID() != "" && t.life.cause() == nil {
		// 405 means that sessions cannot be ended by clients; any other failure
		// leaves the session to the server's own idle timeout.
		res, err := t.roundTrip(ctx, http.MethodDelete, nil, nil, "")
		if err == nil {
			discard(res.Body)
			res.Body.Close()
		}
	}
}

// drain reads what follows the response on an answer stream, in the
// background, for as long as it may be worth a connection.
func (t *streamable) drain(body io.ReadCloser, l *lease) {
	l.handOn(drainTime)
	rest := func() {
		defer l.end()
		defer body.Close()
		discard(body)
	}
	if !t.life.spawn(rest) {
		body.Close()
		l.end()
	}
}

// refused reads an answer whose status is no success. Where the answer leaves
// open whether the server still knows the session, a ping decides: a session
// that lives keeps its state.
func (t *streamable) refused(ctx context.Context, res *http.Response, id jsonrpc.ID) (*jsonrpc.Message, error) {
	m, err := t.http.refused(res, id, t.sessionID() != "")
	if status, ok := errors.AsType[*StatusError](err); ok && status.doubtful {
		status.lives = t.known(ctx)
		status.lost = !status.lives
		if m := status.Answer(); m != nil && status.answers && !status.lost {
			return m, nil
		}
	}
	t.life.lostBy(err)
	return m, err
}

// known reports whether the server still knows the session, or that this
// cannot be found out now. Servers look for the session first: one that does not
// know it refuses a ping as well, even if it answers none.
func (t *streamable) known(ctx context.Context) bool {
	if t.life.over() {
		return t.life.cause() == nil // it was closed here, not lost
	}
	pinging, cancel := context.WithTimeout(ctx, t.verify)
	defer cancel()
	id := t.ids.next()
	res, err := t.roundTrip(pinging, http.MethodPost, jsonrpc.NewRequest(id, spec.Ping, nil), nil, "")
	if err != nil {
		return true
	}
	defer res.Body.Close()
	if success(res) {
		return true
	}
	_, err = t.http.refused(res, id, true)
	var status *StatusError
	return !errors.As(err, &status) || !status.lost && !status.doubtful
}
