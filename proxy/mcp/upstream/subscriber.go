package upstream

import (
	"context"
	"sync"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// subscriber hears what a session has subscribed to at a server without sessions:
// by a stream of subscriptions/listen, opened anew whenever it ends or something
// else is to be heard.
type subscriber struct {
	*requester
	place         *place
	pace          Pace
	life          *lifetime
	in            *inbox
	subscriptions *subscriptions
	capabilities  jsonrpc.Value // of the server
	listening     sync.Once
}

// subscribe begins or ends to hear of changes of a resource.
func (s *subscriber) subscribe(ctx context.Context, uri string, on bool) error {
	return s.await(ctx, s.subscriptions.resource(uri, on), on)
}

// watchTask begins to hear of a task (the extension io.modelcontextprotocol/tasks).
func (s *subscriber) watchTask(ctx context.Context, id string) error {
	return s.await(ctx, s.subscriptions.task(id), true)
}

// await waits until the server has acknowledged what there is to hear since seq,
// unless that is less than before.
func (s *subscriber) await(ctx context.Context, seq int, on bool) error {
	if seq == 0 {
		return nil
	}
	s.listen(func() {})
	for on {
		known, next := s.subscriptions.acknowledged(seq)
		if known {
			return nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.life.ctx.Done():
			return context.Cause(s.life.ctx)
		}
	}
	return nil
}

// listen listens in the background for as long as the session lasts. There is
// nothing to wait for: what is subscribed to is acknowledged.
func (s *subscriber) listen(heard func()) {
	s.listening.Do(func() { s.life.spawn(s.run) })
	heard()
}

// run opens one stream after the other. When something else is to be heard the new
// stream is there before the old one ends.
func (s *subscriber) run() {
	end := func() {} // of the stream before
	defer func() { end() }()
	attempts := Attempts{Pace: s.pace, n: 1}
	for !s.life.over() {
		filter, seq, changed := s.subscriptions.filter(s.capabilities)
		if filter == nil {
			select {
			case <-changed:
			case <-s.life.ctx.Done():
			}
			continue
		}
		ctx, cancel := context.WithCancel(s.life.ctx)
		acked, ended := make(chan struct{}), make(chan struct{})
		began := time.Now()
		if !s.life.spawn(func() { defer close(ended); s.hear(ctx, filter, seq, acked) }) {
			cancel()
			return
		}
		select {
		case <-acked:
		case <-ended:
		}
		end()
		end = func() { cancel(); <-ended }
		select {
		case <-changed:
			attempts.n = 1
		case <-s.place.next():
			attempts.n = 1
		case <-ended:
			if time.Since(began) > attempts.Longest {
				attempts.Reset()
			}
			attempts.Again(s.life.ctx, changed)
		}
	}
}

// hear is one stream.
func (s *subscriber) hear(ctx context.Context, filter []byte, seq int, acked chan<- struct{}) {
	m, err := jsonrpc.Parse(jsonrpc.NewRequest(s.ids.next(), spec.SubscriptionsListen, jsonrpc.NewObject("notifications", filter)))
	if err != nil { // it is ours
		return
	}
	first := true
	_, err = s.post(ctx, m, nil, func(n *jsonrpc.Message) {
		switch n.Method() {
		case spec.NotificationSubscriptionAccepted:
			if first {
				first = false
				s.subscriptions.acknowledge(seq)
				close(acked)
			}
		case spec.NotificationCancelled: // the result says the same
		default:
			var e jsonrpc.Edits
			e.Delete(n.Params().Get("_meta"), jsonrpc.MetaSubscriptionID)
			if plain, err := jsonrpc.Parse(e.Apply(n)); err == nil {
				s.in.route(plain, nil)
			}
		}
	})
	switch {
	case err != nil && ctx.Err() == nil:
		s.in.ignore(err)
	case err != nil && s.transport.kind().OneStream() && !s.life.over():
		cancelCall(s.transport, m.ID()) // elsewhere the end of the connection says it
	}
}
