package listeners

import (
	"errors"
	"net/netip"
	"slices"
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

func (p *places) leave(client netip.Prefix) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byClient[client]--; p.byClient[client] == 0 {
		delete(p.byClient, client)
	}
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

// balances reports whether an address is that of a load balancer, which names
// its clients.
func (s *Server) balances(addr netip.Addr) bool {
	addr = addr.WithZone("") // with one it is in no prefix
	return slices.ContainsFunc(s.config.ProxyProtocol.From, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// takeClientPlace counts the connection among those of its client. It reports false
// where that has as many as it may, or the connection has ended.
func (c *Conn) takeClientPlace() bool {
	client := c.clientPrefix()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.removed {
		return false
	}
	if client.IsValid() && !c.places.take(client, c.server.config.Limits.MaxConnectionsPerAddress) {
		return false
	}
	c.client = client
	return true
}
