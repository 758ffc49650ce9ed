package relay

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// session is what initialize began. But for heard it is not changed once
// it is shared.
type session struct {
	id, version  string
	capabilities jsonrpc.Value
	// listening ends its stream.
	ctx  context.Context
	stop context.CancelFunc
	// heard: its stream has been asked for. Guarded by Relay.mu.
	heard bool
}

// posting completes the headers of a POST.
func posting(h http.Header) http.Header {
	h.Set("Content-Type", "application/json")
	h.Set("Accept", "application/json, text/event-stream")
	return h
}

// header are those of a message of a session, or of none.
func (s *session) header() http.Header {
	h := http.Header{}
	if s != nil {
		h.Set(spec.HeaderVersion, s.version)
		if s.id != "" {
			h.Set(spec.HeaderSession, s.id)
		}
	}
	return h
}

// persist tries again while the gateway is away, if it surely did not act on
// the request, or may do so twice.
func (r *Relay) persist(ctx context.Context, m *jsonrpc.Message, try func() error) error {
	wait := &backoff{until: time.Now().Add(r.opts.Patience)}
	for {
		err := try()
		var broken *brokenError
		again := errors.As(err, &broken) && !broken.sent || away(err) && spec.Request(m.Method()).Idempotent
		if !again || r.unwanted(m) || !wait.again(ctx) {
			return err
		}
	}
}

// away reports whether the gateway could not answer, and may be able to later.
func away(err error) bool {
	var status *statusError
	return errors.As(err, new(*brokenError)) || errors.As(err, &status) && slices.Contains([]int{502, 503, 504}, status.code)
}

// unwanted reports whether the client has cancelled the request.
func (r *Relay) unwanted(m *jsonrpc.Message) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for q := range r.requests {
		if q.m == m {
			return q.canceled
		}
	}
	return false
}

// legacy sends a request of a revision with sessions.
func (r *Relay) legacy(ctx context.Context, m *jsonrpc.Message) error {
	if m.Method() == spec.Initialize {
		r.mu.Lock()
		r.kept, r.initialized = kept{}, false
		r.mu.Unlock()
		return r.persist(ctx, m, func() error { return r.initialize(ctx, m, r.out.write) })
	}
	r.opened(ctx)
	return r.persist(ctx, m, func() error {
		for range 3 {
			s := r.current()
			err := r.exchange(ctx, m, posting(s.header()), func(got *jsonrpc.Message, _ http.Header) {
				if got.Kind() == jsonrpc.Response && got.ID() == m.ID() && !got.IsError() {
					r.keep(m)
				}
				r.out.write(got.Raw())
			})
			if !errors.Is(err, errLost) {
				return err
			}
			// Who has not found the session has not acted on the request.
			if err := r.revive(ctx, s); err != nil {
				return err
			}
		}
		return errLost
	})
}

// opened waits for the answer to initialize, if there is one to come: a client
// that writes without waiting for it means the session that it begins.
func (r *Relay) opened(ctx context.Context) {
	r.mu.Lock()
	opening := r.opening
	r.mu.Unlock()
	if opening == nil {
		return
	}
	select {
	case <-opening:
	case <-ctx.Done():
	}
}

func (r *Relay) current() *session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.session
}

// initialize begins a session, in the place of the one there was. say gets the
// answer.
func (r *Relay) initialize(ctx context.Context, m *jsonrpc.Message, say func([]byte)) error {
	return r.exchange(ctx, m, posting(http.Header{}), func(got *jsonrpc.Message, header http.Header) {
		if got.Kind() != jsonrpc.Response || got.ID() != m.ID() {
			r.out.write(got.Raw())
			return
		}
		if !got.IsError() {
			s := &session{
				id: header.Get(spec.HeaderSession), version: got.Result().Get("protocolVersion").String(), capabilities: got.Result().Get("capabilities"),
			}
			s.ctx, s.stop = context.WithCancel(r.work)
			r.mu.Lock()
			old := r.session
			r.session, r.init = s, m
			r.mu.Unlock()
			if old != nil {
				old.stop()
			}
		}
		say(got.Raw())
	})
}

// speak sends what needs no answer, in order.
func (r *Relay) speak() {
	for {
		select {
		case <-r.work.Done():
			return
		case m := <-r.say:
			r.opened(r.work)
			r.mu.Lock()
			begun := m.Method() == spec.NotificationInitialized && r.session != nil
			r.initialized = r.initialized || begun
			r.mu.Unlock()
			if err := r.tell(r.work, m); err != nil && r.work.Err() == nil {
				what := m.Method()
				if what == "" {
					what = "an answer"
				}
				r.opts.Log(what + ": " + err.Error())
			}
			r.mu.Lock()
			r.unsaid--
			s := r.session
			r.mu.Unlock()
			if begun {
				r.listen(s)
			}
		}
	}
}

// tell sends a notification or an answer.
func (r *Relay) tell(ctx context.Context, m *jsonrpc.Message) error {
	return r.persist(ctx, m, func() error {
		s := r.current()
		err := r.post(ctx, s, m.Raw())
		if errors.Is(err, errLost) {
			// What the lost session was about means nothing to the next one.
			return r.revive(ctx, s)
		}
		return err
	})
}

// post sends what needs no answer.
func (r *Relay) post(ctx context.Context, s *session, body []byte) error {
	header := posting(s.header())
	res, err := r.send(ctx, http.MethodPost, header, body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return r.refused(res, nil, header, nil)
	}
	return nil
}

// leave deletes the session.
func (r *Relay) leave() {
	s := r.current()
	if s == nil || s.id == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	if res, err := r.send(ctx, http.MethodDelete, s.header(), nil); err == nil {
		_ = res.Body.Close()
	}
}
