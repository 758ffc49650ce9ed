package listeners

import (
	"context"
	"net/http"
	"time"

	"golang.org/x/net/http2"
)

// serveHTTP2 serves an HTTP/2 connection until it ends. Each has an
// http2.Server of its own, since one can send GOAWAY only to all of its
// connections; net/http's would besides close the idle ones at once.
func (s *Server) serveHTTP2(c *Conn) {
	// The preface is gone if it told us the protocol, that is without TLS.
	plain := c.TLS() == nil
	base := &http.Server{
		MaxHeaderBytes: int(s.config.Limits.MaxHeaderBytes),
		ErrorLog:       s.errorLog,
	}
	h2 := &http2.Server{
		MaxConcurrentStreams: uint32(s.config.Limits.MaxConcurrentStreams),
		IdleTimeout:          s.config.Limits.IdleTimeout,
	}
	// It fails only over cipher suites, of which base has none.
	if err := http2.ConfigureServer(base, h2); err != nil {
		s.trace.error(s.config.Name, "http2: "+err.Error())
		c.wire.Close()
		return
	}
	c.mu.Lock()
	if c.leaving {
		c.mu.Unlock()
		c.wire.Close()
		return
	}
	c.phase = phaseHTTP2
	// base serves nothing itself: all that its Shutdown does is GOAWAY.
	c.goAway = func() { base.Shutdown(context.Background()) }
	c.mu.Unlock()
	c.wire.SetReadDeadline(time.Time{})
	h2.ServeConn(c.wire.outer(), &http2.ServeConnOpts{
		Context:          context.WithValue(context.Background(), contextKey{}, c),
		BaseConfig:       base,
		Handler:          http.HandlerFunc(s.handle),
		SawClientPreface: plain,
	})
}
