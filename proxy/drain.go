package proxy

import (
	"fmt"
	"maps"
	"slices"

	"github.com/mcpgateway/mcpgateway/listeners"
	"github.com/mcpgateway/mcpgateway/tls"
)

// drain closes the sockets that are gone, tells connections to leave, and
// says how many.
func (p *preparation) drain(leaving []*listeners.Server, unverified map[*listeners.Server][]*listeners.Conn) []string {
	if p.old == nil {
		return nil
	}
	d := p.gen.config.Drain
	for _, s := range p.old.served {
		if !slices.ContainsFunc(p.gen.served, func(n served) bool { return n.socket == s.socket }) {
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
	maps.Copy(unverified, p.refusedOfDraining()) // of other servers: these drain, those are carried over
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

// refusedOfDraining returns, for each server that drains, the connections whose
// peers new trust refuses: they do not have until drain.timeout. Clients that
// were let in without a certificate have: how clients are asked is the
// definition, which drains as a whole.
func (p *preparation) refusedOfDraining() map[*listeners.Server][]*listeners.Conn {
	refused := map[*listeners.Server][]*listeners.Conn{}
	for _, server := range p.shared.generations.leaving() {
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
