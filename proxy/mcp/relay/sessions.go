package relay

import (
	"context"
	"sync"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

// sessions are those with the gateway. Its methods may be called from any goroutine.
type sessions struct {
	opts Options
	host *host
	pace upstream.Pace
	out  *writer
	// work is the context of all that is sent, and wg has the goroutines that end
	// with it. fail ends the relay.
	work context.Context
	wg   *sync.WaitGroup
	fail func(error)
	// without carries what needs no session.
	without *upstream.Session

	mu sync.Mutex
	// What follows belongs to clients of revisions with sessions.
	session     *upstream.Session // begun last; without, before
	init        *jsonrpc.Message  // which began it
	initialized bool
	revival     func() error // begins one in the place of session, once; nil: none is lost
	kept        kept
}

func newSessions(opts Options, host *host, r *Relay) *sessions {
	s := &sessions{opts: opts, host: host, out: r.out, work: r.work, wg: &r.wg, fail: r.fail}
	s.pace = upstream.Pace{First: 100 * time.Millisecond, Longest: 5 * time.Second, Within: max(opts.Patience, 1), Spread: true}
	s.without = s.open()
	s.session = s.without
	return s
}

// open returns a session that has not begun.
func (s *sessions) open() *upstream.Session {
	return upstream.PassThrough(s.host, s.pace, upstream.Options{
		MaxMessage: maxMessage, MaxResult: maxMessage, OnMessage: s.out.pass,
		OnIgnored: func(err error, report bool) {
			if report {
				s.opts.Log("what the gateway sent is passed over: " + err.Error())
			}
		},
	})
}

// current returns the session that was begun last.
func (s *sessions) current() *upstream.Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.session
}

// retire closes a session that another one has taken the place of, once its calls
// and messages are through: the gateway may answer them still.
func (s *sessions) retire(old *upstream.Session) {
	if old == s.without || old == s.current() || old.Busy() > 0 {
		return
	}
	s.wg.Go(func() {
		ctx, cancel := context.WithTimeout(s.work, farewell)
		defer cancel()
		old.Close(ctx)
	})
}

// leave deletes the session.
func (s *sessions) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	s.current().Close(ctx)
	s.without.Close(ctx)
}

// persist tries again while the gateway is away, if it surely did not act on the
// request, or may do so twice.
func (s *sessions) persist(ctx context.Context, q *request, try func() error) error {
	attempts := s.pace.Begun()
	for {
		err := try()
		again := upstream.NotSent(err) || away(err) && spec.Request(q.Method()).Idempotent
		if !again || q.canceled.Load() || !attempts.Again(ctx, nil) {
			return err
		}
	}
}

// exchange sends a request, and hands on what comes back, the answer last.
func (s *sessions) exchange(ctx context.Context, in *upstream.Session, m *jsonrpc.Message, take func(*jsonrpc.Message)) error {
	answer, err := in.Call(ctx, m.Raw(), m.ID(), take)
	if err == nil {
		take(answer)
	}
	s.retire(in)
	return explained(err)
}

// modern sends a request of a revision without sessions.
func (s *sessions) modern(ctx context.Context, q *request) error {
	if q.Method() == spec.SubscriptionsListen {
		return s.subscribe(ctx, q)
	}
	return s.persist(ctx, q, func() error { return s.exchange(ctx, s.without, q.Message, s.out.pass) })
}

// legacy sends a request of a revision with sessions.
func (s *sessions) legacy(ctx context.Context, q *request) error {
	if q.Method() == spec.Initialize {
		s.mu.Lock()
		s.kept, s.initialized = kept{}, false
		s.mu.Unlock()
		return s.persist(ctx, q, func() error { return s.initialize(ctx, q.Message, s.out.pass) })
	}
	take := func(got *jsonrpc.Message) {
		if got.Kind() == jsonrpc.Response && got.ID() == q.ID() && !got.IsError() {
			s.keep(q.Message)
		}
		s.out.pass(got)
	}
	return s.persist(ctx, q, func() (err error) {
		for range 3 {
			in := s.current()
			if err = s.exchange(ctx, in, q.Message, take); !lost(err) {
				return err
			}
			if err := s.revive(in); err != nil {
				return err
			}
		}
		return err
	})
}

// initialize begins a session, in the place of the one there was. say gets the
// answer.
func (s *sessions) initialize(ctx context.Context, m *jsonrpc.Message, say func(*jsonrpc.Message)) error {
	in := s.open()
	answer, err := in.Call(ctx, m.Raw(), m.ID(), s.out.pass)
	if err == nil && !answer.IsError() {
		s.mu.Lock()
		in, s.session, s.init = s.session, in, m
		s.mu.Unlock()
	}
	s.retire(in)
	if err == nil {
		say(answer)
	}
	return explained(err)
}

// tell sends a notification or an answer.
func (s *sessions) tell(ctx context.Context, q *request) error {
	s.mu.Lock()
	begun := q.Method() == spec.NotificationInitialized && s.session != s.without
	s.initialized = s.initialized || begun
	s.mu.Unlock()
	err := s.persist(ctx, q, func() error {
		in := s.current()
		err := in.Send(ctx, q.Raw())
		s.retire(in)
		if lost(err) {
			// What the lost session was about means nothing to the next one.
			return s.revive(in)
		}
		return explained(err)
	})
	if begun {
		s.listen(s.current())
	}
	return err
}

// listen keeps a stream open for what belongs to no request, unless the gateway has
// no such streams. A session that is lost is begun anew also if the client makes no
// request that would find it lost.
func (s *sessions) listen(in *upstream.Session) {
	in.StartListening()
	s.wg.Go(func() {
		select {
		case <-in.Done():
		case <-s.work.Done():
			return
		}
		attempts := upstream.Attempts{Pace: s.pace.Unbounded()}
		for in.Err() != nil && s.revive(in) != nil && attempts.Again(s.work, nil) {
		}
	})
}
