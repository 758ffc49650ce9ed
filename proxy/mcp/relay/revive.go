package relay

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// keptSubscriptions bounds what is subscribed to again.
const keptSubscriptions = 1000

// kept is what a session was told that the next one must be told again.
type kept struct {
	level         []byte            // params of logging/setLevel
	subscriptions map[string][]byte // params of resources/subscribe, by URI
}

// keep notes what a request that the gateway has granted changes.
func (r *Relay) keep(m *jsonrpc.Message) {
	uri := m.Params().Get("uri").String()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch m.Method() {
	case spec.LoggingSetLevel:
		r.kept.level = m.Params().Raw()
	case spec.ResourcesSubscribe:
		if r.kept.subscriptions == nil {
			r.kept.subscriptions = map[string][]byte{}
		}
		if len(r.kept.subscriptions) < keptSubscriptions {
			r.kept.subscriptions[uri] = m.Params().Raw()
		}
	case spec.ResourcesUnsubscribe:
		delete(r.kept.subscriptions, uri)
	}
}

// revival is an attempt to begin a session in the place of a lost one. err is
// set before done closes.
type revival struct {
	done chan struct{}
	err  error
}

// revive begins a session in the place of one that is lost, once for all who
// have found it lost.
func (r *Relay) revive(ctx context.Context, lost *session) error {
	r.mu.Lock()
	if r.session != lost {
		r.mu.Unlock()
		return nil // another request has done it
	}
	v := r.revival
	if v == nil {
		v = &revival{done: make(chan struct{})}
		r.revival = v
		r.wg.Go(func() {
			v.err = r.begin(lost)
			r.mu.Lock()
			r.revival = nil
			r.mu.Unlock()
			close(v.done)
		})
	}
	r.mu.Unlock()
	select {
	case <-v.done:
		return v.err
	case <-ctx.Done():
		// A revival that failed for good ends everything; the client is told why.
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.failed != nil {
			return r.failed
		}
		return ctx.Err()
	}
}

// begin initialises as the client did, and brings the session to the state
// that the client believes it to have.
func (r *Relay) begin(lost *session) error {
	ctx, cancel := context.WithTimeout(r.work, r.opts.Patience)
	defer cancel()
	r.mu.Lock()
	init, initialized, was := r.init, r.initialized, r.kept
	var params [][2][]byte
	if was.level != nil {
		params = append(params, [2][]byte{[]byte(spec.LoggingSetLevel), was.level})
	}
	for _, p := range was.subscriptions {
		params = append(params, [2][]byte{[]byte(spec.ResourcesSubscribe), p})
	}
	r.mu.Unlock()
	r.opts.Log("the session is lost; initializing anew")
	var refused *jsonrpc.Message
	err := r.persist(ctx, init, func() error {
		return r.initialize(ctx, init, func(body []byte) {
			if m, err := jsonrpc.Parse(body); err == nil && m.IsError() {
				refused = m
			}
		})
	})
	if err != nil {
		return err
	}
	if refused != nil {
		return fmt.Errorf("the gateway refuses to initialize anew: %s", refused.ErrorMessage())
	}
	s := r.current()
	if s.version != lost.version {
		// The client speaks what it was told. It must start anew.
		err := fmt.Errorf("the gateway came back with revision %s in the place of %s", s.version, lost.version)
		r.fail(err)
		return err
	}
	if !initialized {
		return nil
	}
	defer r.listen(s)
	if err := r.post(ctx, s, jsonrpc.NewNotification(spec.NotificationInitialized, nil)); err != nil {
		return err
	}
	for _, p := range params {
		m, err := jsonrpc.Parse(jsonrpc.NewRequest(jsonrpc.StringID(rand.Text()), string(p[0]), p[1]))
		if err != nil {
			return err
		}
		if err := r.exchange(ctx, m, posting(s.header()), func(got *jsonrpc.Message, _ http.Header) {
			if got.Kind() != jsonrpc.Response {
				r.out.write(got.Raw())
			}
		}); err != nil {
			return err
		}
	}
	// Another process may have another catalogue.
	for _, kind := range []string{"tools", "prompts", "resources"} {
		if lost.capabilities.Get(kind, "listChanged").Bool() {
			r.out.write(jsonrpc.NewNotification("notifications/"+kind+"/list_changed", nil))
		}
	}
	return nil
}

// listen keeps a stream open for what belongs to no request, until the session
// is replaced or lost, or the gateway has no such streams.
func (r *Relay) listen(s *session) {
	r.mu.Lock()
	begun := s == nil || s.heard
	if !begun {
		s.heard = true
	}
	r.mu.Unlock()
	if begun {
		return
	}
	r.wg.Go(func() {
		st := &stream{relay: r, take: func(m *jsonrpc.Message) { r.out.write(m.Raw()) }}
		wait := &backoff{}
		for {
			header := s.header()
			header.Set("Accept", "text/event-stream")
			if st.lastID != "" {
				header.Set(spec.HeaderLastEventID, st.lastID)
			}
			began := time.Now()
			err := r.hear(s.ctx, st, header)
			var status *statusError
			switch {
			case s.ctx.Err() != nil:
				return
			case errors.Is(err, errLost):
				if err = r.revive(s.ctx, s); err == nil {
					return // the next session has its own
				}
			case errors.As(err, &status) && (status.code == http.StatusMethodNotAllowed || status.code == http.StatusNotFound || status.code == http.StatusNotAcceptable):
				return
			case time.Since(began) > longest:
				wait.last = 0
			}
			if !pause(s.ctx, st.retry) || !wait.again(s.ctx) {
				return
			}
		}
	})
}

// hear reads the stream once.
func (r *Relay) hear(ctx context.Context, st *stream, header http.Header) error {
	res, err := r.send(ctx, http.MethodGet, header, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return r.refused(res, nil, header, nil)
	}
	return st.read(res)
}
