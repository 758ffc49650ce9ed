package proxy

import (
	"context"
	"strings"
	"time"

	"github.com/mcpgateway/mcpgateway/listeners"
)

// commit puts a prepared generation in force. It cannot fail. The order
// matters, and each step is harmless before the next:
//
//  1. New certificates and trust take effect, and peers that no longer pass
//     are pinned to the old generation, so that the new routes never meet a
//     connection that was authorized for less.
//  2. Servers that go are pinned to the old generation as well.
//  3. The pointer swaps: from here on the new generation serves.
//  4. New servers take over their sockets, health checks follow, drains begin.
//
// It returns what was done, in one line.
func (p *preparation) commit() string {
	s, gen, old := p.shared, p.gen, p.old
	gen.number = 1
	if old != nil {
		gen.number = old.number + 1
	}
	gen.applied = time.Now()
	gen.users.Store(1)
	s.generations.work.Add(1) // until release
	gen.free = func() { go s.release(gen) }

	if p.log != nil {
		s.observer.Logs.Swap(p.log)
	}
	s.limit.set(gen.config.Memory)
	// First, so that what is stored serves with the first handshake. What goes
	// is asked for until the snapshots have been replaced, and later by servers
	// that drain: it is released below, and with the generations.
	s.acme.Commit(gen.config.ACME, gen.config.acmeNames(), gen.config.acmeChallenges())
	unverified := p.swapTLS()
	leaving := p.pinLeaving()
	s.generations.succeed(gen, leaving)
	for _, l := range gen.served {
		if before := old.find(l.config.Name); before == nil || before.server != l.server {
			l.socket.Serve(l.server)
		}
	}
	parts := []string{p.plan.String()}
	if old != nil {
		parts = append(parts, toolNotice(s.hub, old.config, gen.config)...)
	}
	gen.clusters.Commit()
	_ = s.hub.UseKeys(gen.config.stateKeys()) // their lengths have been checked
	s.hub.Commit(gen.mcp)
	parts = append(parts, p.drain(leaving, unverified)...)
	p.commitAdmin()
	s.ready.Store(true)
	if old != nil {
		old.done() // it is no longer the current one
	}
	s.releaseNames()
	return strings.Join(parts, "; ")
}

// swapTLS returns, for each server, the open connections whose peer the new
// trust refuses; they stay on the old generation and leave within
// drain.close_spread.
func (p *preparation) swapTLS() map[*listeners.Server][]*listeners.Conn {
	refused := map[*listeners.Server][]*listeners.Conn{}
	for _, s := range p.swaps {
		// First the snapshot, then the search: a handshake that ends in
		// between is verified against the new trust by the server itself.
		s.server.SwapTLS(s.snapshot)
		if !s.trust {
			continue
		}
		for _, c := range s.server.Unverified(s.snapshot) {
			// One that an earlier commit refused stays on what it was let in by.
			if s.dispatcher.pinConn(c, p.old) {
				refused[s.server] = append(refused[s.server], c)
				p.shared.generations.retain(p.old, c.Done(), func() { s.dispatcher.unpin(c) })
			}
		}
	}
	return refused
}

// pinLeaving pins each server that the new generation does not carry over to
// the old one, for as long as it drains.
func (p *preparation) pinLeaving() []*listeners.Server {
	if p.old == nil {
		return nil
	}
	var leaving []*listeners.Server
	for _, s := range p.old.served {
		if after := p.gen.find(s.config.Name); after != nil && after.server == s.server {
			continue
		}
		s.dispatcher.pin(p.old)
		p.shared.generations.retain(p.old, s.server.Done(), func() {})
		leaving = append(leaving, s.server)
	}
	return leaving
}

func (p *preparation) commitAdmin() {
	if p.gen.config.Admin != nil && p.admin == nil {
		return // it stays
	}
	s, old := p.shared, p.shared.admin
	if s.admin = p.admin; old != nil {
		old.Unbind() // the address is free for the next generation at once
		// It is not awaited: the request that asked for this reload may be its last.
		s.generations.work.Go(func() { old.Close(context.Background()) })
	}
	if s.admin != nil {
		s.admin.Serve()
	}
}
