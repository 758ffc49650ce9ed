package relay

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
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
	opts  Options
	out   *writer
	tools upstream.ToolHeaders
	wg    sync.WaitGroup
	// say takes what needs no answer, to be sent in order.
	say chan *jsonrpc.Message
	// work is the context of all that is sent; end ends Run.
	work context.Context
	end  context.CancelFunc

	mu       sync.Mutex
	token    string
	requests map[*request]struct{}
	unsaid   int // of say, what is being sent included
	// What follows belongs to clients of revisions with sessions.
	init        *jsonrpc.Message // the client's initialize
	initialized bool
	session     *session
	revival     *revival
	kept        kept
	// opening is closed when the answer to initialize has come; nil: none is
	// awaited.
	opening chan struct{}
	failed  error // why the relay cannot go on
}

// request is one of the client that is in flight.
type request struct {
	m      *jsonrpc.Message
	modern bool
	cancel context.CancelFunc
	// canceled: the client wants no answer any more. Guarded by Relay.mu.
	canceled bool
}

// New returns a Relay.
func New(opts Options) *Relay {
	return &Relay{opts: opts, say: make(chan *jsonrpc.Message, 64), requests: map[*request]struct{}{}}
}

// Run serves the client whose messages come from in until they end, or ctx is
// done, and says what it has to say on out. Its error is why it had to end
// before that.
func (r *Relay) Run(ctx context.Context, in io.Reader, out io.Writer) error {
	token, err := r.opts.Token()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.token, r.end = token, cancel
	r.out = &writer{out: out, broken: r.fail}
	// What is sent outlives ctx for as long as Run settles.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	r.work = work
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
			r.settle(ctx)
			open = false
		case <-ctx.Done():
			open = false
		}
	}
	stop()
	r.part()
	r.leave()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// part waits for the relay's goroutines, but not forever: one may be writing to
// a client that reads no more.
func (r *Relay) part() {
	ended := make(chan struct{})
	go func() { r.wg.Wait(); close(ended) }()
	timer := time.NewTimer(farewell)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
	}
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
	messages, bad := parse(line)
	for _, answer := range bad {
		r.opts.Log("a line is no message: " + answer.why)
		if answer.body != nil {
			r.out.write(answer.body)
		}
	}
	for _, m := range messages {
		switch {
		case m.Kind() == jsonrpc.Request:
			r.request(m)
		case m.Method() == spec.NotificationCancelled && r.withdraw(m):
		default:
			r.mu.Lock()
			r.unsaid++
			r.mu.Unlock()
			select {
			case r.say <- m:
			case <-ctx.Done():
			}
		}
	}
}

// request sends a request of the client, and answers it.
func (r *Relay) request(m *jsonrpc.Message) {
	ctx, cancel := context.WithCancel(r.work)
	q := &request{m: m, modern: m.Params().Get("_meta", jsonrpc.MetaProtocolVersion).Exists(), cancel: cancel}
	r.mu.Lock()
	full := len(r.requests) >= maxRequests
	if !full {
		r.requests[q] = struct{}{}
	}
	opened := func() {}
	if m.Method() == spec.Initialize && !full && r.opening == nil {
		opening := make(chan struct{})
		r.opening = opening
		opened = func() {
			r.mu.Lock()
			r.opening = nil
			r.mu.Unlock()
			close(opening)
		}
	}
	r.mu.Unlock()
	if full {
		cancel()
		r.out.write(jsonrpc.NewError(m.ID(), jsonrpc.CodeInternalError, "too many requests are in flight", nil))
		return
	}
	r.wg.Go(func() {
		defer cancel()
		defer opened()
		var err error
		if q.modern {
			err = r.modern(ctx, m)
		} else {
			err = r.legacy(ctx, m)
		}
		r.mu.Lock()
		delete(r.requests, q)
		silent := q.canceled
		r.mu.Unlock()
		if err == nil || silent || errors.Is(err, context.Canceled) && ctx.Err() != nil {
			return
		}
		r.opts.Log(m.Method() + ": " + err.Error())
		r.out.write(jsonrpc.NewError(m.ID(), jsonrpc.CodeInternalError, err.Error(), nil))
	})
}

// withdraw notes that the client cancels a request. Where each request has a
// connection of its own, its end is what tells the gateway (MCP 2026-07-28,
// Cancellation); withdraw then reports true, and there is nothing to send.
func (r *Relay) withdraw(m *jsonrpc.Message) bool {
	id := m.Params().Get("requestId").ID()
	r.mu.Lock()
	defer r.mu.Unlock()
	for q := range r.requests {
		if q.m.ID() == id {
			q.canceled = true
			if q.modern {
				q.cancel()
			}
			return q.modern
		}
	}
	return false
}

// settle waits, when the client has said all, for the answers that are still
// to come, but not for streams that have none.
func (r *Relay) settle(ctx context.Context) {
	timer := time.NewTimer(farewell)
	defer timer.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		r.mu.Lock()
		waiting := r.unsaid
		for q := range r.requests {
			if q.m.Method() != spec.SubscriptionsListen {
				waiting++
			}
		}
		r.mu.Unlock()
		if waiting == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}
