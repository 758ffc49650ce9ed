package mcp

import (
	"context"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

// link is one upstream session.
type link struct {
	ready chan struct{}     // closed when up is set, or never will be
	up    *upstream.Session // nil: it could not be opened

	// What follows is guarded by peer.mu.

	calls   map[jsonrpc.ID]*call // by our id, which is the progress token too
	uses    int
	stale   bool // on a pool that is to be left when idle
	retired bool // no call may use it any more
}

// wait returns the upstream session once it is open: servers speak before
// that. It returns nil when it could not be opened, or ctx is done.
func (l *link) wait(ctx context.Context) *upstream.Session {
	select {
	case <-l.ready:
		return l.up
	case <-ctx.Done():
		return nil
	}
}

// acquire returns an open link, which release gives back.
func (p *peer) acquire(ctx context.Context, c *call) (*link, error) {
	for range attempts {
		p.mu.Lock()
		p.adoptLocked(c.route)
		if l := p.link; l != nil && l.alive() {
			l.uses++
			p.mu.Unlock()
			return l, nil
		} else if l != nil {
			p.detachLocked(l)
			p.down = true
		}
		o := p.openLocked(c.route, c)
		p.mu.Unlock()
		if o == nil && p.s.life.ctx.Err() == nil {
			return nil, spec.InvalidParams("the cluster " + p.cluster + " has been removed")
		}
		if o == nil {
			return nil, errEnded
		}
		select {
		case <-o.done:
			if o.err != nil {
				return nil, o.err
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return nil, upstream.ErrSessionLost
}

// alive reports whether the upstream session can be used. One whose process was
// taken while nothing used it may not know of its end yet.
func (l *link) alive() bool {
	if process := l.up.Process(); process != nil && process.Taken() {
		return false
	}
	select {
	case <-l.up.Done():
		return false
	default:
		return true
	}
}

// release gives back what acquire returned.
func (p *peer) release(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.uses--
	if l.uses > 0 {
		return
	}
	switch {
	case l.retired:
		p.closeLocked(l)
	case l.stale:
		p.detachLocked(l)
		p.reviveLocked()
	}
}

// detachLocked takes l out of use; it is closed when its last user is done.
func (p *peer) detachLocked(l *link) {
	if p.link == l {
		p.link = nil
	}
	if l.retired {
		return
	}
	l.retired = true
	if process := l.up.Process(); process != nil {
		p.s.life.disown(process)
	}
	if l.uses == 0 {
		p.closeLocked(l)
	}
}

// closeLocked closes l, in the background: servers are slow to part.
func (p *peer) closeLocked(l *link) {
	p.s.hub.background(func() { l.close() })
}

func (l *link) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	l.up.Close(ctx)
}

// closed is told that the upstream session of l has ended.
func (p *peer) closed(l *link, err error) {
	p.mu.Lock()
	mine := p.link == l
	if mine {
		p.detachLocked(l)
		p.down = true
	}
	p.mu.Unlock()
	if err != nil && mine {
		p.s.hub.opts.Trace.upstreamLost(p.s.route, p.cluster, l.up.Endpoint().ID(), err)
	}
}

// live returns the open link for something that may be left undone without
// one, or nil. release gives it back.
func (p *peer) live() *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link == nil {
		return nil
	}
	p.link.uses++
	return p.link
}
