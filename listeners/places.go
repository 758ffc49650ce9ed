package listeners

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/mcpgateway/mcpgateway/internal/descriptors"
)

// places are those of the connections that one socket has accepted, over all
// servers, so that limits mean what they say while an old definition drains.
type places struct {
	open    atomic.Int64
	reserve *descriptors.Reserve

	mu       sync.Mutex
	byClient map[netip.Prefix]int
}

// enter takes a place for a connection, which QUIC, where raw is nil, has without a
// descriptor of its own. It says why there is none, or "".
func (p *places) enter(raw net.Conn, most int) (refusal string) {
	switch {
	case p.open.Add(1) > int64(most):
		refusal = "max_connections"
	case raw != nil && !p.reserve.Enter(raw):
		refusal = "descriptors"
	default:
		return ""
	}
	p.open.Add(-1)
	return refusal
}

// leave gives back the place of a connection, and that of its client, if it has one.
func (p *places) leave(raw net.Conn, client netip.Prefix) {
	p.open.Add(-1)
	if raw != nil {
		p.reserve.Leave()
	}
	if !client.IsValid() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byClient[client]--; p.byClient[client] == 0 {
		delete(p.byClient, client)
	}
}

// take gives a client one place more, unless it has as many as limit says; 0 is
// no limit.
func (p *places) take(client netip.Prefix, limit int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if limit > 0 && p.byClient[client] >= limit {
		return false
	}
	if p.byClient == nil {
		p.byClient = map[netip.Prefix]int{}
	}
	p.byClient[client]++
	return true
}

// errPerAddress: the client has as many connections as it may.
var errPerAddress = errors.New(perAddress)

// perAddress is the reason of such a refusal.
const perAddress = "max_connections_per_address"

// clientPrefix is what the connection is counted by: its client's address, or what
// a client of IPv6 has at its disposal, a /64. It is the zero Prefix where it is
// not counted: on a unix socket, and for a proxy in front of us, whose connections
// are those of many clients.
func (c *Conn) clientPrefix() netip.Prefix {
	addr := c.remote.Addr()
	if !addr.IsValid() || c.TrustsProxy(addr) {
		return netip.Prefix{}
	}
	const site = 64
	client, _ := addr.Prefix(min(site, addr.BitLen())) // which drops the zone
	return client
}

// takeClientPlace counts the connection among those of its client. It reports false
// where that has as many as it may, or the connection has ended.
func (c *Conn) takeClientPlace() (taken bool) {
	client := c.clientPrefix()
	c.unlessRemoved(func() {
		if taken = !client.IsValid() || c.places.take(client, c.limits.MaxConnectionsPerAddress); taken {
			c.client = client
		}
	})
	return taken
}
