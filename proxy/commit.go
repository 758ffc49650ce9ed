package proxy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mcpgateway/mcpgateway/listeners"
	"github.com/mcpgateway/mcpgateway/tls"
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
func (g *Gateway) commit(p *prepared) string {
	gen, old := p.gen, p.old
	g.numbers++
	gen.number = g.numbers
	gen.applied = time.Now()
	gen.users.Store(1)
	g.work.Add(1) // until release
	gen.free = func() { go g.release(gen) }

	if p.log != nil {
		g.observer.Logs.Swap(p.log)
	}
	g.commitMemory(gen.config.Memory)
	// First, so that what is stored serves with the first handshake. What goes
	// is asked for until the snapshots have been replaced, and later by servers
	// that drain: it is released below, and with the generations.
	g.acme.Commit(gen.config.ACME, gen.config.acmeNames(), gen.config.acmeChallenges())
	unverified := g.swapTLS(p)
	leaving := g.pinLeaving(p)

	g.mu.Lock()
	// In one step, for those who ask what still serves: a generation that is in
	// neither place would lose its metrics and its certificates by ACME.
	g.current.Store(gen)
	if old != nil {
		old.retired, old.leaving = gen.applied, leaving
		g.draining = append(g.draining, old)
	}
	g.mu.Unlock()

	for _, s := range gen.served {
		if before := old.find(s.config.Name); before == nil || before.server != s.server {
			s.socket.Serve(s.server)
		}
	}
	parts := []string{p.plan.String()}
	if old != nil {
		parts = append(parts, toolNotice(g.hub, old.config, gen.config)...)
	}
	gen.clusters.Commit()
	_ = g.hub.UseKeys(gen.config.stateKeys()) // their lengths have been checked
	g.hub.Commit(gen.mcp)
	parts = append(parts, g.drain(p, leaving, unverified)...)
	g.commitAdmin(p)
	g.ready.Store(true)
	if old != nil {
		old.done() // it is no longer the current one
	}
	g.releaseNames()
	return strings.Join(parts, "; ")
}

// swapTLS returns, for each server, the open connections whose peer the new
// trust refuses; they stay on the old generation and leave within
// drain.close_spread.
func (g *Gateway) swapTLS(p *prepared) map[*listeners.Server][]*listeners.Conn {
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
				g.keep(p.old, c.Done(), func() { s.dispatcher.unpin(c) })
			}
		}
	}
	return refused
}

// pinLeaving pins each server that the new generation does not carry over to
// the old one, for as long as it drains.
func (g *Gateway) pinLeaving(p *prepared) []*listeners.Server {
	if p.old == nil {
		return nil
	}
	var leaving []*listeners.Server
	for _, s := range p.old.served {
		if after := p.gen.find(s.config.Name); after != nil && after.server == s.server {
			continue
		}
		s.dispatcher.pin(p.old)
		g.keep(p.old, s.server.Done(), func() {})
		leaving = append(leaving, s.server)
	}
	return leaving
}

// keep counts a pin of gen until done closes, and then calls after.
func (g *Gateway) keep(gen *Generation, done <-chan struct{}, after func()) {
	gen.use()
	gen.pins.Add(1)
	g.work.Go(func() {
		<-done
		after()
		gen.pins.Add(-1)
		gen.done()
	})
}

// drain closes the sockets that are gone, tells connections to leave, and
// says how many.
func (g *Gateway) drain(p *prepared, leaving []*listeners.Server, unverified map[*listeners.Server][]*listeners.Conn) []string {
	if p.old == nil {
		return nil
	}
	d := p.gen.config.Drain
	for _, s := range p.old.served {
		stays := false
		for _, n := range p.gen.served {
			stays = stays || n.socket == s.socket
		}
		if !stays {
			// What the kernel has accepted already is handed over first.
			s.socket.Close()
		}
	}
	connections, streams, lines := 0, 0, []string(nil)
	for _, s := range leaving {
		stats := s.Stats()
		connections += stats.Connections
		streams += stats.Streams
		s.Drain(listeners.DrainOptions{Spread: d.CloseSpread, Timeout: d.Timeout})
	}
	if connections > 0 {
		lines = append(lines, "draining "+count(connections, "connection")+", "+count(streams, "stream"))
	}
	for server, conns := range g.refuseDraining(p) {
		unverified[server] = append(unverified[server], conns...)
	}
	refused := 0
	for server, conns := range unverified {
		refused += len(conns)
		server.Retire(conns, d.CloseSpread)
	}
	if refused > 0 {
		lines = append(lines, fmt.Sprintf("closing %s, refused by the new client authentication", count(refused, "connection")))
	}
	return lines
}

// refuseDraining returns, for each server that drains, the connections whose
// peers new trust refuses: they do not have until drain.timeout. Clients that
// were let in without a certificate have: how clients are asked is the
// definition, which drains as a whole.
func (g *Gateway) refuseDraining(p *prepared) map[*listeners.Server][]*listeners.Conn {
	var draining []*listeners.Server
	g.mu.Lock()
	for _, d := range g.draining {
		draining = append(draining, d.leaving...)
	}
	g.mu.Unlock()
	refused := map[*listeners.Server][]*listeners.Conn{}
	for _, server := range draining {
		before, after := p.old.find(server.Listener()), p.gen.find(server.Listener())
		if before == nil || after == nil || before.tls == nil || after.tls == nil ||
			before.config.TLS.TrustFingerprint() == after.config.TLS.TrustFingerprint() {
			continue
		}
		for _, c := range server.Unverified(after.tls) {
			if tls.VerifiedPeer(c.TLS()) != nil {
				refused[server] = append(refused[server], c)
			}
		}
	}
	return refused
}

func (g *Gateway) commitAdmin(p *prepared) {
	keep := p.gen.config.Admin != nil && p.admin == nil
	if keep {
		return
	}
	if old := g.admin; old != nil {
		// The address is free for the next generation at once. The rest is
		// not awaited: the request that asked for this reload may be its last.
		old.Unbind()
		g.work.Go(func() { old.Close(context.Background()) })
	}
	g.admin = p.admin
	if p.admin != nil {
		p.admin.Serve()
	}
}

// release frees what a generation held once no request uses it any more.
func (g *Gateway) release(gen *Generation) {
	defer g.work.Done()
	g.mu.Lock()
	g.draining = slices.DeleteFunc(g.draining, func(d *Generation) bool { return d == gen })
	living := append([]*Generation{g.current.Load()}, g.draining...)
	g.mu.Unlock()
	g.forget(gen, living)
	g.releaseNames()
	gen.router.Close()
	gen.clusters.Release()
	g.observer.Logs.Logger().Debug().Uint64("generation", gen.number).Msg("generation released")
	_ = gen.clusters.Wait(context.Background()) // its checks end within their timeout
}
