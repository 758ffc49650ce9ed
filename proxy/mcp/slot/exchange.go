package slot

import (
	"context"
	"errors"

	"github.com/mcpgateway/mcpgateway/clusters/transport"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

// attempts bounds how often one request is sent.
const attempts = 3

// Exchange sends a request for c and waits for its answer. build makes the request
// for the server, and with the id, that it is given. A lost upstream session is opened
// anew, unseen by the client, if safe says that the request may be repeated, or the
// server surely has not acted upon it. A server that answers with a status is asked
// once more at most: one that refuses its new session too would refuse the next.
func (s *Slot) Exchange(ctx context.Context, c *Call, safe bool, build func(server *upstream.Server, id jsonrpc.ID) []byte) (*jsonrpc.Message, error) {
	refused := false // with a status, at the attempt before
	for attempt := 1; ; attempt++ {
		u, err := s.acquire(ctx, c)
		if err != nil {
			return nil, err
		}
		m, err := u.exchange(ctx, c, build)
		if err == nil {
			return m, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		renewed := s.renew(c.Generation, u, err)
		var status *upstream.StatusError
		refuses := errors.As(err, &status)
		if attempt == attempts || !safe && !upstream.Repeatable(err) || !renewed && answered(err) || refuses && refused {
			if refuses && status.Answer() != nil {
				return status.Answer(), nil
			}
			return nil, err
		}
		refused = refuses
	}
}

// answered reports whether the server, or its host, has given an answer that would be
// the same the next time.
func answered(err error) bool {
	var status *upstream.StatusError
	var connect *transport.ConnectError
	return errors.As(err, &status) || errors.As(err, &connect)
}

// renew decides, after err, whether the next attempt needs another upstream session:
// this one is lost, or the server wants other credentials, which a new generation's
// pool may have. A server that forbids one call in a session that lives wants no
// other. It reports whether it took u out of use.
func (s *Slot) renew(g *Generation, u *Upstream, err error) bool {
	var connect *transport.ConnectError
	var status *upstream.StatusError
	unauthorized := errors.Is(err, upstream.ErrUnauthorized) && !(errors.As(err, &status) && status.SessionLives())
	gone := errors.Is(err, upstream.ErrSessionLost) || errors.Is(err, upstream.ErrClosed) || unauthorized
	if !gone && errors.As(err, &connect) {
		// A server that cannot be reached for a moment keeps its session; only
		// where there is another one to go to, the session is given up.
		cluster, ok := g.Clusters.Get(s.cfg.Cluster)
		gone = ok && len(cluster.Endpoints()) > 1
	}
	if !gone {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loseLocked(u)
	return true
}

// loseLocked takes u out of use because it is lost, and reports whether it was the
// open one.
func (s *Slot) loseLocked(u *Upstream) bool {
	open := s.up == u
	if open {
		s.detachLocked()
		s.down = true
	}
	return open
}

// Use runs f with an upstream session, which is opened if there is none. An error is
// that of opening it, or f's.
func (s *Slot) Use(ctx context.Context, c *Call, f func(*upstream.Session) error) error {
	u, err := s.acquire(ctx, c)
	if err != nil {
		return err
	}
	defer u.release()
	return f(u.session)
}

// acquire returns the open upstream session, which must be released.
func (s *Slot) acquire(ctx context.Context, c *Call) (*Upstream, error) {
	for range attempts {
		s.mu.Lock()
		s.adoptLocked(c.Generation)
		if u := s.up; u != nil {
			if u.alive() {
				u.uses++
				s.mu.Unlock()
				return u, nil
			}
			s.loseLocked(u)
		}
		o, err := s.openLocked(c.Generation, c)
		s.mu.Unlock()
		if err != nil {
			return nil, err
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
