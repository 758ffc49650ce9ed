package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/sse"
)

// errLost: the gateway does not know the session any more.
var errLost = errors.New("the session is lost")

// brokenError: there is no answer, and none will come.
type brokenError struct {
	err error
	// sent: the gateway may have seen the message.
	sent bool
}

func (e *brokenError) Error() string {
	if e.sent {
		return "the connection to the gateway was lost; whether it acted on the request is unknown: " + e.err.Error()
	}
	return "the gateway cannot be reached: " + e.err.Error()
}

func (e *brokenError) Unwrap() error { return e.err }

// statusError is an HTTP status without an answer to the message.
type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string {
	text := fmt.Sprintf("the gateway answered %d %s", e.code, http.StatusText(e.code))
	if e.text != "" {
		text += ": " + e.text
	}
	if e.code == http.StatusUnauthorized {
		text += "; a token that is valid is needed"
	}
	return text
}

// send makes one HTTP request. A token that is refused is asked for again, and
// the request repeated if there is another one: who is refused was not heard.
func (r *Relay) send(ctx context.Context, method string, header http.Header, body []byte) (*http.Response, error) {
	for {
		r.mu.Lock()
		token := r.token
		r.mu.Unlock()
		res, err := r.once(ctx, method, header, body, token)
		if err != nil || res.StatusCode != http.StatusUnauthorized || !r.renew(token) {
			return res, err
		}
		_ = res.Body.Close()
	}
}

// renew asks for the token, and reports whether it is another one than the one
// that was refused.
func (r *Relay) renew(refused string) bool {
	token, err := r.opts.Token()
	if err != nil {
		r.opts.Log(err.Error())
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.token = token
	return token != refused
}

func (r *Relay) once(ctx context.Context, method string, header http.Header, body []byte, token string) (*http.Response, error) {
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	req, err := http.NewRequestWithContext(ctx, method, r.opts.URL, bytes.NewReader(body))
	if err != nil {
		return nil, &brokenError{err: err}
	}
	req.Header = header.Clone()
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := r.opts.Transport.RoundTrip(req) // redirects are not followed: the token is for this URL
	if err != nil {
		return nil, &brokenError{err, sent.Load()}
	}
	return res, nil
}

// exchange sends a request and hands on what comes back, the answer last. It
// returns nil once the answer has come. A stream that breaks off is resumed
// where it has ids.
func (r *Relay) exchange(ctx context.Context, m *jsonrpc.Message, header http.Header, take func(*jsonrpc.Message, http.Header)) error {
	res, err := r.send(ctx, http.MethodPost, header, m.Raw()) //nolint:bodyclose // it is closed below; the stream that reads it does not keep it
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return r.refused(res, m, header, take)
	}
	s := &stream{relay: r, take: func(m *jsonrpc.Message) { take(m, res.Header) }, want: m.ID()}
	if kind, _, _ := strings.Cut(res.Header.Get("Content-Type"), ";"); strings.TrimSpace(kind) != "text/event-stream" {
		return s.body(res)
	}
	err = s.read(res)
	for err != nil && s.lastID != "" && header.Get(spec.HeaderSession) != "" && ctx.Err() == nil && !r.unwanted(m) {
		err = s.resume(ctx, header)
	}
	return err
}

// refused makes of an answer with a status of its own what it means. An error
// response in it is the answer.
func (r *Relay) refused(res *http.Response, m *jsonrpc.Message, header http.Header, take func(*jsonrpc.Message, http.Header)) error {
	if res.StatusCode == http.StatusNotFound && header.Get(spec.HeaderSession) != "" {
		return errLost
	}
	body, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10)) // what there is will do
	if answer, err := jsonrpc.Parse(body); err == nil && m != nil && answer.Kind() == jsonrpc.Response && answer.ID() == m.ID() {
		take(answer, res.Header)
		return nil
	}
	var said struct {
		Error struct{ Message string }
	}
	_ = json.Unmarshal(body, &said) // another body says nothing that could be shown
	return &statusError{res.StatusCode, said.Error.Message}
}

// stream reads what answers one request, over several connections if need be.
type stream struct {
	relay *Relay
	take  func(*jsonrpc.Message)
	// want is the id of the request; without one the stream has no end.
	want   jsonrpc.ID
	lastID string
	retry  time.Duration
}

// body reads an answer that is no stream.
func (s *stream) body(res *http.Response) error {
	data, err := io.ReadAll(io.LimitReader(res.Body, maxMessage))
	if err != nil {
		return &brokenError{err, true}
	}
	m, err := jsonrpc.Parse(data)
	if err != nil || m.Kind() != jsonrpc.Response || m.ID() != s.want {
		return errors.New("the gateway's answer is no answer to the request")
	}
	s.take(m)
	return nil
}

// read hands on the messages of a stream until the answer has come.
func (s *stream) read(res *http.Response) error {
	events := sse.NewReader(res.Body, maxMessage)
	for {
		e, err := events.Next()
		if err != nil {
			return &brokenError{err, true}
		}
		if e.HasID {
			s.lastID = e.ID
		}
		if e.HasRetry {
			s.retry = e.Retry
		}
		if len(e.Data) == 0 || e.Name != "" && e.Name != "message" {
			continue
		}
		m, err := jsonrpc.Parse(e.Data)
		if err != nil {
			s.relay.opts.Log("the gateway sent what is no message: " + err.Error())
			continue
		}
		s.take(m)
		if m.Kind() == jsonrpc.Response && !s.want.IsZero() && m.ID() == s.want {
			return nil
		}
	}
}

// resume waits, and reads the stream on from where it broke off (MCP
// 2025-11-25, Transports, Resumability). While the gateway is away it tries
// again, as long as the relay is patient.
func (s *stream) resume(ctx context.Context, header http.Header) error {
	header = header.Clone()
	header.Del("Content-Type")
	header.Set("Accept", "text/event-stream")
	header.Set(spec.HeaderLastEventID, s.lastID)
	if !pause(ctx, max(s.retry, shortest)) {
		return ctx.Err()
	}
	wait := &backoff{until: time.Now().Add(s.relay.opts.Patience)}
	for {
		res, err := s.relay.send(ctx, http.MethodGet, header, nil)
		if err == nil && res.StatusCode == http.StatusOK {
			defer res.Body.Close()
			return s.read(res)
		}
		if err == nil {
			err = s.relay.refused(res, nil, header, nil)
			_ = res.Body.Close()
			var status *statusError
			if !errors.As(err, &status) || status.code < 500 {
				return s.lose(err) // there is no use in asking again
			}
		}
		if !wait.again(ctx) {
			return s.lose(err)
		}
	}
}

// lose gives the stream up. That its session is lost, if it is, does not mean
// that the request was not acted on.
func (s *stream) lose(err error) error {
	s.lastID = ""
	return &brokenError{errors.New("its stream cannot be resumed: " + err.Error()), true}
}

// backoff spaces attempts out.
type backoff struct {
	until time.Time // zero: no end
	last  time.Duration
}

const (
	shortest = 100 * time.Millisecond
	longest  = 5 * time.Second
)

// again waits for the time of the next attempt. It reports false when there is
// none.
func (b *backoff) again(ctx context.Context) bool {
	b.last = min(max(2*b.last, shortest), longest)
	d := b.last/2 + rand.N(b.last/2)
	if !b.until.IsZero() && time.Now().Add(d).After(b.until) {
		return false
	}
	return pause(ctx, d)
}

// pause reports false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
