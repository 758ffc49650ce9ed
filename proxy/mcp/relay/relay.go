package relay

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

const (
	// maxMessage bounds a message in either direction.
	maxMessage = 64 << 20
	// maxRequests bounds the client's requests in flight.
	maxRequests = 256
	// farewell bounds the waiting for answers at the end, and then the
	// deletion of the session. Both together are less than the 5 seconds that
	// clients give their servers before they send SIGTERM.
	farewell = 2 * time.Second
)

// Options are what a Relay is made of.
type Options struct {
	// URL is the gateway's endpoint.
	URL string
	// Transport reaches it.
	Transport http.RoundTripper
	// Token returns the bearer token, "" for none. It is asked at the
	// beginning, and again whenever the gateway refuses the last one.
	Token func() (string, error)
	// Patience is how long a request waits for a gateway that is away.
	Patience time.Duration
	// Log takes what an operator should know, a line at a time.
	Log func(line string)
}

// Relay carries the messages of one client.
type Relay struct {
	opts Options
	out  *writer
	// gateway has the other side.
	gateway *sessions
	wg      sync.WaitGroup
	// answers are what Run waits for when the client has said all: its requests, but for
	// streams that have no end, and what say takes.
	answers sync.WaitGroup
	// say takes what needs no answer, to be sent in order.
	say chan *request
	// work is the context of all that is sent; end ends Run.
	work context.Context
	end  context.CancelFunc

	mu       sync.Mutex
	requests map[*request]struct{}
	// opening is closed when the answer to initialize has come; nil: none is
	// awaited.
	opening chan struct{}
	failed  error // why the relay cannot go on
}

// request is a message of the client on its way to the gateway.
type request struct {
	*jsonrpc.Message
	// canceled: the client wants no answer any more.
	canceled atomic.Bool
	// abort ends the request's connection where its revision has no sessions; nil: it
	// has.
	abort context.CancelFunc
}

// New returns a Relay.
func New(opts Options) *Relay {
	return &Relay{opts: opts, say: make(chan *request, 64), requests: map[*request]struct{}{}}
}

// Run serves the client whose messages come from in until they end, or ctx is
// done, and says what it has to say on out. Its error is why it had to end
// before that.
func (r *Relay) Run(ctx context.Context, in io.Reader, out io.Writer) error {
	token, err := r.opts.Token()
	if err != nil {
		return err
	}
	to, err := url.Parse(r.opts.URL)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.end = cancel
	r.out = &writer{out: out, broken: r.fail}
	// What is sent outlives ctx for as long as Run settles.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	r.work = work
	r.gateway = newSessions(r.opts, &host{opts: r.opts, url: to, token: token}, r)
	r.wg.Go(r.speak)
	lines := make(chan []byte)
	eof := make(chan error, 1)
	go func() { eof <- readLines(ctx, in, lines, r.opts.Log) }()
	for open := true; open; {
		select {
		case line := <-lines:
			r.receive(ctx, line)
		case err := <-eof:
			if err != nil {
				r.fail(err)
			}
			atMost(ctx, farewell, r.answers.Wait)
			open = false
		case <-ctx.Done():
			open = false
		}
	}
	stop()
	close(r.say)
	atMost(context.Background(), farewell, r.wg.Wait)
	atMost(context.Background(), farewell, r.gateway.leave)
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// atMost waits for the end of f, but not for longer than d: a goroutine may be
// writing to a client that reads no more.
func atMost(ctx context.Context, d time.Duration, f func()) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	ended := make(chan struct{})
	go func() { f(); close(ended) }()
	wait(ctx, ended)
}

// fail ends the relay.
func (r *Relay) fail(err error) {
	r.mu.Lock()
	if r.failed == nil {
		r.failed = err
	}
	r.mu.Unlock()
	r.end()
}

// receive takes one line of the client.
func (r *Relay) receive(ctx context.Context, line []byte) {
	refuse := func(why error, answer []byte) {
		r.opts.Log("a line is no message: " + why.Error())
		if answer != nil {
			r.out.write(answer)
		}
	}
	for _, m := range parse(line, refuse) {
		switch {
		case m.Kind() == jsonrpc.Request:
			r.request(m)
		case m.Method() == spec.NotificationCancelled && r.withdraw(m):
		default:
			r.answers.Add(1) // before speak is through with it
			select {
			case r.say <- &request{Message: m}:
			case <-ctx.Done():
				r.answers.Done()
			}
		}
	}
}

// request sends a request of the client, and answers it.
func (r *Relay) request(m *jsonrpc.Message) {
	q := &request{Message: m}
	ctx, cancel := context.WithCancel(upstream.WithCaller(r.work, &upstream.Caller{Unwanted: q.canceled.Load}))
	send := r.gateway.legacy
	if m.Params().Get("_meta", jsonrpc.MetaProtocolVersion).Exists() {
		send, q.abort = r.gateway.modern, cancel
	}
	r.mu.Lock()
	full := len(r.requests) >= maxRequests
	if !full {
		r.requests[q] = struct{}{}
	}
	// A client that writes without waiting for the answer to initialize means the
	// session that it begins.
	opening, opened := r.opening, func() {}
	switch {
	case m.Method() == spec.Initialize && !full && opening == nil:
		mine := make(chan struct{})
		r.opening = mine
		opened = func() {
			r.mu.Lock()
			r.opening = nil
			r.mu.Unlock()
			close(mine)
		}
	case m.Method() == spec.Initialize || q.abort != nil:
		opening = nil
	}
	r.mu.Unlock()
	if full {
		cancel()
		r.out.write(jsonrpc.NewError(m.ID(), jsonrpc.CodeInternalError, "too many requests are in flight", nil))
		return
	}
	ended := func() {}
	if m.Method() != spec.SubscriptionsListen {
		r.answers.Add(1)
		ended = r.answers.Done
	}
	r.wg.Go(func() {
		defer ended()
		defer cancel()
		defer opened()
		wait(ctx, opening)
		err := send(ctx, q)
		r.mu.Lock()
		delete(r.requests, q)
		r.mu.Unlock()
		if err == nil || q.canceled.Load() || errors.Is(err, context.Canceled) && ctx.Err() != nil {
			return
		}
		r.opts.Log(m.Method() + ": " + err.Error())
		r.out.write(jsonrpc.NewError(m.ID(), jsonrpc.CodeInternalError, err.Error(), nil))
	})
}

// wait waits until done is closed, which may be nil: there is nothing to wait for.
func wait(ctx context.Context, done <-chan struct{}) {
	if done == nil {
		return
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// withdraw notes that the client cancels a request. Where each request has a
// connection of its own, its end is what tells the gateway (MCP 2026-07-28,
// Cancellation); withdraw then reports true, and there is nothing to send.
func (r *Relay) withdraw(m *jsonrpc.Message) bool {
	id := m.Params().Get("requestId").ID()
	r.mu.Lock()
	defer r.mu.Unlock()
	for q := range r.requests {
		if q.ID() == id {
			q.canceled.Store(true)
			if q.abort != nil {
				q.abort()
			}
			return q.abort != nil
		}
	}
	return false
}

// speak sends what needs no answer, in order.
func (r *Relay) speak() {
	for q := range r.say {
		r.mu.Lock()
		opening := r.opening
		r.mu.Unlock()
		wait(r.work, opening)
		if err := r.gateway.tell(r.work, q); err != nil && r.work.Err() == nil {
			r.opts.Log(cmp.Or(q.Method(), "an answer") + ": " + err.Error())
		}
		r.answers.Done()
	}
}
