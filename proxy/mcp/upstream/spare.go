package upstream

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/clusters/process"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// spares are processes that health checks have started and found to answer, by
// endpoint. Where a command may run once only, the first session gets that
// process: it would wait else for the end of the one and the start of another.
type spares struct{ by sync.Map } // *clusters.Endpoint → *spare

// spare is a process that nothing but server/discover was said to. It is not
// initialised: that is done once, with the client's own capabilities.
type spare struct {
	ready chan struct{} // closed when it is known whether there is a process
	// session has the process, nil: there is none. It is set before ready closes.
	session *Session
	// heir are the options of the session of a client that has it; nil before.
	heir atomic.Pointer[Options]
}

// expect tells sessions that the process which a check starts may be for them. It
// returns nil where there is one already.
func (ss *spares) expect(e *clusters.Endpoint) *spare {
	sp := &spare{ready: make(chan struct{})}
	if _, taken := ss.by.LoadOrStore(e, sp); taken {
		return nil
	}
	return sp
}

// offer leaves the process of s to the first session. With nil there is none.
func (ss *spares) offer(e *clusters.Endpoint, sp *spare, s *Session) {
	if sp.session = s; s == nil {
		ss.by.Delete(e)
	}
	close(sp.ready)
}

// take returns what a check has left for a session, nil if that is nothing. It
// waits while the check waits for the process.
func (ss *spares) take(ctx context.Context, e *clusters.Endpoint) (*spare, error) {
	found, _ := ss.by.Load(e)
	sp, ok := found.(*spare)
	if !ok {
		return nil, nil
	}
	select {
	case <-sp.ready:
	case <-ctx.Done():
		return nil, &unsentError{context.Cause(ctx)}
	}
	if !ss.remove(e, sp) {
		return nil, nil
	}
	return sp, nil
}

// remove reports whether the process of a spare, which is ready, is the caller's.
func (ss *spares) remove(e *clusters.Endpoint, sp *spare) bool {
	return sp.session != nil && ss.by.CompareAndDelete(e, sp)
}

// message takes what the server says of its own accord.
func (sp *spare) message(m *jsonrpc.Message) {
	if heir := sp.heir.Load(); heir != nil && heir.OnMessage != nil {
		heir.OnMessage(m)
	}
}

// ignored takes what is Options.OnIgnored of the check until there is an heir.
func (sp *spare) ignored(ofCheck func(error, bool)) func(error, bool) {
	return func(err error, report bool) {
		heir := sp.heir.Load()
		switch {
		case heir == nil:
			ofCheck(err, report)
		case heir.OnIgnored != nil:
			heir.OnIgnored(err, report)
		}
	}
}

// adopt opens the session in the process that a health check has left for it. It
// returns nil where there is none, or it is of no use.
func (o *opening) adopt(ctx context.Context) (*Session, error) {
	if o.check != nil {
		return nil, nil
	}
	sp, err := o.client.spares.take(ctx, o.endpoint)
	if sp == nil {
		return nil, err
	}
	s := sp.session
	child := s.Process()
	if child.Use(); child.Taken() || s.life.over() {
		s.Close(context.Background()) // it is ending already
		return nil, nil
	}
	child.SetOwner(process.Owner{Backoff: o.opts.Backoff, Principal: o.opts.Principal})
	// Its reader runs already, and asks sp for the options that it needs.
	s.limits.set(o.opts.MaxMessage, o.opts.MaxResult)
	sp.heir.Store(&o.opts)
	limit := o.cluster.Config().StartTimeout
	starting, cancel := context.WithTimeoutCause(ctx, limit, startTimeError{limit})
	defer cancel()
	if err := o.negotiate(starting, s); err != nil {
		s.Close(ctx)
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, nil // a process of its own shows whether that is the server's fault
	}
	return s, nil
}
