package upstream

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// watch is what a session hears from a server without sessions: a stream of
// subscriptions/listen, opened anew whenever it ends or something else is to
// be heard (MCP 2026-07-28, Subscriptions).
type watch struct {
	mu sync.Mutex
	// uris are resources, and tasks the ids of tasks, whose changes are heard.
	uris, tasks map[string]struct{}
	// changed is closed, and made anew, when there is something else to hear;
	// seq counts that.
	changed chan struct{}
	seq     int
	// heard is the seq that the server has acknowledged; acked is closed, and
	// made anew, when it does.
	heard int
	acked chan struct{}
}

func (w *watch) initLocked() {
	if w.changed == nil {
		w.changed, w.acked = make(chan struct{}), make(chan struct{})
		w.uris, w.tasks = map[string]struct{}{}, map[string]struct{}{}
		w.seq = 1
	}
}

// Subscribe begins or ends to hear of changes of a resource; they come to
// OnMessage. It returns when the server knows, or with an error when it does
// not take the subscription.
func (s *Session) Subscribe(ctx context.Context, uri string, on bool) error {
	if s.stateless == nil {
		method := spec.ResourcesSubscribe
		if !on {
			method = spec.ResourcesUnsubscribe
		}
		id := s.NextID()
		m, err := s.Call(ctx, jsonrpc.NewRequest(id, method, append(jsonrpc.AppendString([]byte(`{"uri":`), uri), '}')), id, nil)
		if err == nil && m.IsError() {
			err = errors.New(snippet([]byte(m.ErrorMessage())))
		}
		return err
	}
	return s.watch(ctx, func(w *watch) map[string]struct{} { return w.uris }, uri, on)
}

// watches reports whether changes of a resource are to be heard.
func (s *Session) watches(uri string) bool {
	w := &s.stateless.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	_, is := w.uris[uri]
	return is
}

// WatchTask begins to hear of a task of a server without sessions (the
// extension io.modelcontextprotocol/tasks). It returns as Subscribe does; a
// server with sessions tells without being asked.
func (s *Session) WatchTask(ctx context.Context, id string) error {
	if s.stateless == nil {
		return nil
	}
	return s.watch(ctx, func(w *watch) map[string]struct{} { return w.tasks }, id, true)
}

// watch adds name to what is heard, or takes it away.
func (s *Session) watch(ctx context.Context, set func(*watch) map[string]struct{}, name string, on bool) error {
	w := &s.stateless.watch
	w.mu.Lock()
	w.initLocked()
	names := set(w)
	if _, has := names[name]; has == on {
		w.mu.Unlock()
		return nil
	}
	if on {
		names[name] = struct{}{}
	} else {
		delete(names, name)
	}
	w.seq++
	seq := w.seq
	close(w.changed)
	w.changed = make(chan struct{})
	w.mu.Unlock()
	s.StartListening()
	for on {
		w.mu.Lock()
		done, acked := w.heard >= seq, w.acked
		w.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-acked:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.life.Done():
			return context.Cause(s.life)
		}
	}
	return nil
}

// filter is what there is to hear; nil when that is nothing.
func (s *Session) filter() (filter []byte, seq int, changed chan struct{}) {
	w := &s.stateless.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	w.initLocked()
	caps := s.stateless.discover.Result().Get("capabilities")
	b := []byte{'{'}
	for _, list := range []struct{ capability, member string }{
		{"tools", `"toolsListChanged":true`}, {"prompts", `"promptsListChanged":true`}, {"resources", `"resourcesListChanged":true`},
	} {
		if caps.Get(list.capability, "listChanged").Bool() {
			if len(b) > 1 {
				b = append(b, ',')
			}
			b = append(b, list.member...)
		}
	}
	b = appendNames(b, "resourceSubscriptions", w.uris)
	b = appendNames(b, "taskIds", w.tasks)
	if len(b) == 1 {
		return nil, w.seq, w.changed
	}
	return append(b, '}'), w.seq, w.changed
}

// appendNames appends a member of an object that is a list of names, unless
// there are none.
func appendNames(b []byte, member string, names map[string]struct{}) []byte {
	if len(names) == 0 {
		return b
	}
	if len(b) > 1 {
		b = append(b, ',')
	}
	b = append(jsonrpc.AppendString(b, member), ':')
	for i, name := range slices.Sorted(maps.Keys(names)) {
		b = jsonrpc.AppendString(append(b, "[,"[min(i, 1)]), name)
	}
	return append(b, ']')
}

// listenModern hears for as long as the session lives. When something else is to be
// heard the new stream is there before the old one ends.
func (s *Session) listenModern() {
	var end func() // of the stream before
	defer func() {
		if end != nil {
			end()
		}
	}()
	for failures := 0; s.life.Err() == nil; {
		filter, seq, changed := s.filter()
		if filter == nil {
			select {
			case <-changed:
			case <-s.life.Done():
			}
			continue
		}
		ctx, cancel := context.WithCancel(s.life)
		acked, ended := make(chan struct{}), make(chan struct{})
		began := time.Now()
		if !s.spawn(func() { defer close(ended); s.hear(ctx, filter, seq, acked) }) {
			cancel()
			return
		}
		select {
		case <-acked:
		case <-ended:
		}
		if end != nil {
			end()
		}
		end = func() { cancel(); <-ended }
		var rebound <-chan struct{}
		if t, ok := s.transport.(*streamable); ok {
			t.mu.Lock()
			rebound = t.rebound
			t.mu.Unlock()
		}
		select {
		case <-changed:
			failures = 0
		case <-rebound:
			failures = 0
		case <-ended:
			if failures++; time.Since(began) > maxBackoff {
				failures = 0
			}
			sleep(s.life, min(defaultRetry<<min(failures, 10), maxBackoff), changed)
		}
	}
}

// hear is one stream.
func (s *Session) hear(ctx context.Context, filter []byte, seq int, acked chan<- struct{}) {
	params := append(append([]byte(`{"notifications":`), filter...), '}')
	m, err := jsonrpc.Parse(jsonrpc.NewRequest(s.NextID(), spec.SubscriptionsListen, params))
	if err != nil { // it is ours
		return
	}
	first := true
	_, err = s.post(ctx, m, nil, func(n *jsonrpc.Message) {
		switch n.Method() {
		case spec.NotificationSubscriptionAccepted:
			if first {
				first = false
				s.stateless.watch.acknowledge(seq)
				close(acked)
			}
		case spec.NotificationCancelled: // the result says the same
		default:
			var e jsonrpc.Edits
			e.Delete(n.Params().Get("_meta"), jsonrpc.MetaSubscriptionID)
			if plain, err := jsonrpc.Parse(e.Apply(n)); err == nil {
				s.route(plain, nil)
			}
		}
	})
	switch {
	case err != nil && ctx.Err() == nil:
		s.ignore(err)
	case err != nil && s.kind == Stdio && s.life.Err() == nil:
		// Elsewhere the end of the connection says it.
		farewell, cancel := context.WithTimeout(context.Background(), cancelTime)
		defer cancel()
		_ = s.transport.send(farewell, cancelled(m.ID()))
	}
}

func (w *watch) acknowledge(seq int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard = max(w.heard, seq)
	close(w.acked)
	w.acked = make(chan struct{})
}
