package upstream

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// maxSessionID bounds the session id that a server may choose.
const maxSessionID = 4096

// drainTime is how long the end of an answer stream is waited for once the
// response was on it: at its end the connection can be used again.
const drainTime = time.Second

// streamable is the Streamable HTTP transport: each call is a POST, and its
// answer is JSON or a stream (MCP 2025-11-25, Transports).
type streamable struct {
	s      *Session
	verify time.Duration // bounds the ping that tells whether the session is lost

	mu      sync.Mutex
	bound   binding
	rebound chan struct{} // closed, and made anew, by rebind
	id      string        // Mcp-Session-Id, "" when the server has none
}

func newStreamable(s *Session, e *clusters.Endpoint) *streamable {
	return &streamable{s: s, verify: verifyTime, bound: bind(e), rebound: make(chan struct{})}
}

func (t *streamable) endpoint() *clusters.Endpoint {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bound.endpoint
}

func (t *streamable) rebind(e *clusters.Endpoint) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.s.life.Err() != nil || e.ID() != t.bound.endpoint.ID() {
		return false
	}
	if e == t.bound.endpoint {
		return true
	}
	old := t.bound
	t.bound = bind(e)
	old.release() // what is under way keeps the old one until it ends
	close(t.rebound)
	t.rebound = make(chan struct{})
	return true
}

// sessionID returns the session id.
func (t *streamable) sessionID() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.id
}

// roundTrip sends one request, in the session where there is one.
func (t *streamable) roundTrip(ctx context.Context, method string, body []byte, lastEventID string) (*http.Response, error) {
	e := t.endpoint()
	req, err := t.s.request(ctx, method, e.Target(), body)
	if err != nil {
		return nil, err
	}
	if id := t.sessionID(); id != "" {
		req.Header.Set(spec.HeaderSession, id)
	}
	if lastEventID != "" {
		req.Header.Set(spec.HeaderLastEventID, lastEventID)
	}
	return t.s.roundTrip(e, req)
}

func (t *streamable) call(ctx context.Context, req []byte, id jsonrpc.ID, on func(*jsonrpc.Message)) (*jsonrpc.Message, error) {
	l := newLease(ctx, t.s.calls)
	res, err := t.roundTrip(l.ctx, http.MethodPost, req, "")
	if err != nil {
		l.end()
		return nil, err
	}
	if !success(res) {
		defer l.end()
		defer res.Body.Close()
		return t.refused(l.ctx, res, id)
	}
	if t.s.initializing {
		if err := t.begin(res); err != nil {
			res.Body.Close()
			l.end()
			return nil, err
		}
	}
	switch kind := mediaType(res); kind {
	case typeEvents:
		a := &answer{t: t, lease: l, id: id, on: on, caller: callerOf(ctx), retry: defaultRetry}
		return a.follow(res)
	case typeJSON:
		defer l.end()
		defer res.Body.Close()
		return t.answerJSON(res, id, on, callerOf(ctx))
	default:
		discard(res.Body)
		res.Body.Close()
		l.end()
		return nil, fmt.Errorf("%w: the answer to a request has status %d and content type %q", ErrProtocol, res.StatusCode, snippet([]byte(kind)))
	}
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
	t.mu.Lock()
	defer t.mu.Unlock()
	t.id = id
	return nil
}

func (t *streamable) answerJSON(res *http.Response, id jsonrpc.ID, on func(*jsonrpc.Message), caller *Caller) (*jsonrpc.Message, error) {
	body, err := t.s.readAll(res, caller)
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	var response *jsonrpc.Message
	messages, err := parse(body)
	if err != nil {
		return nil, &UnreadableError{err.Error()}
	}
	for _, m := range messages {
		if answers(m, id) {
			response = answerTo(id, m)
		} else {
			t.s.route(m, on)
		}
	}
	if response == nil {
		return nil, fmt.Errorf("%w: the answer holds no response to the request: %s", ErrProtocol, snippet(body))
	}
	return response, nil
}

func (t *streamable) send(ctx context.Context, msg []byte) error {
	l := newLease(ctx, t.s.calls)
	defer l.end()
	res, err := t.roundTrip(l.ctx, http.MethodPost, msg, "")
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
	if t.sessionID() != "" && t.s.Err() == nil {
		// 405 means that sessions cannot be ended by clients; any other failure
		// leaves the session to the server's own idle timeout.
		res, err := t.roundTrip(ctx, http.MethodDelete, nil, "")
		if err == nil {
			discard(res.Body)
			res.Body.Close()
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bound.release()
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
	if !t.s.spawn(rest) {
		body.Close()
		l.end()
	}
}
