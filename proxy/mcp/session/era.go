package session

import (
	"context"
	"slices"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// Offered returns what the route offers, as far as that is known without
// asking a server.
func (r *Route) Offered() federation.Offer { return r.offeredBy(nil) }

// offeredBy returns what the route offers, from what is known and what the
// servers have just said. One that was never reached offers no revision without
// sessions: it may be one that has them.
func (r *Route) offeredBy(found []federation.Profile) federation.Offer {
	o := federation.Everything()
	if len(r.Versions) > 0 {
		return o.Narrow(r.Versions)
	}
	for _, ref := range r.Members {
		cluster, _ := r.Clusters.Get(ref.Name) // each member is one
		served, known := r.registry.opts.Client.Serves(cluster)
		i := slices.IndexFunc(found, func(f federation.Profile) bool { return f.Member.Name == ref.Name })
		if i >= 0 {
			o = o.Narrow(found[i].Revisions)
		}
		switch {
		case known:
			o = o.Narrow(served)
		case i < 0:
			o.Unknown = true
			o = o.Narrow(spec.Legacy())
		}
	}
	return o.Sure()
}

// Offered returns what the route offers to the sender of m. Servers are asked
// where that is not known.
func (f Sender) Offered(ctx context.Context, m *jsonrpc.Message) federation.Offer {
	route := f.Route
	offered := route.Offered()
	if !offered.Unknown {
		return offered
	}
	init := route.OwnInit(spec.NewestLegacy)
	init.version = spec.Modern
	s, err := f.borrow(init)
	if err != nil {
		return offered
	}
	defer route.registry.giveBack(s.session)
	c := s.newCall(f, m, s.newStream(eventstream.Options{Bytes: route.QueueBytes()}))
	c.start(ctx)
	defer c.stop()
	found, _, _ := dispatcher{c}.openAll(c.ctx, route.Members)
	return route.offeredBy(found)
}

// NoDiscovery answers server/discover where the servers have sessions: clients
// of both eras then begin one.
func NoDiscovery() *spec.Error {
	f := spec.MethodNotFound(spec.ServerDiscover)
	f.Text += "; the servers behind this endpoint have sessions, initialize"
	return f
}
