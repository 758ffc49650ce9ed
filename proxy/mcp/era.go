package mcp

import (
	"net/http"
	"slices"

	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/downstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// configured returns the offer that mcp.versions makes, if it is set.
func (r *Route) configured() (o federation.Offer, ok bool) {
	if len(r.Versions) == 0 {
		return federation.Offer{}, false
	}
	return federation.Everything().Narrow(r.Versions), true
}

// offered returns what the route offers, as far as that is known without
// asking a server.
func (r *Route) offered() federation.Offer {
	if o, ok := r.configured(); ok {
		return o
	}
	o := federation.Everything()
	for _, ref := range r.Members {
		served, known := r.served(ref)
		if !known {
			o.Unknown = true
			served = spec.Legacy()
		}
		o = o.Narrow(served)
	}
	return o.Sure()
}

// served returns the revisions that a cluster was found to serve.
func (r *Route) served(ref federation.Member) (versions []string, known bool) {
	cluster, ok := r.Clusters.Get(ref.Name)
	if !ok {
		return nil, false
	}
	return r.client.Serves(cluster)
}

// offeredBy returns what the route offers, from what is known and what the
// servers have just said. One that was never reached offers no revision without
// sessions: it may be one that has them.
func (r *Route) offeredBy(found []federation.Profile) federation.Offer {
	if o, ok := r.configured(); ok {
		return o
	}
	o := federation.Everything()
	for _, ref := range r.Members {
		served, known := r.served(ref)
		i := slices.IndexFunc(found, func(f federation.Profile) bool { return f.Member.Name == ref.Name })
		if i >= 0 {
			o = o.Narrow(found[i].Revisions)
		}
		switch {
		case known:
			o = o.Narrow(served)
		case i < 0:
			o = o.Narrow(spec.Legacy())
		}
	}
	return o.Sure()
}

// refuseVersion refuses a message of a revision that is not spoken, and names
// those that the route offers. Servers are asked where that is not known.
func (h *Handler) refuseVersion(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message, requested string) {
	o := h.route.offered()
	if o.Unknown {
		o = h.ask(r, m)
	}
	reject(w, r, m.ID(), spec.UnsupportedVersion(o.Versions, requested))
}

// ask asks the servers of the route what they serve.
func (h *Handler) ask(r *http.Request, m *jsonrpc.Message) federation.Offer {
	s, err := h.hub.borrow(h.route, filter.PrincipalFrom(r.Context()), clientInit{params: h.hub.selfInit(spec.NewestLegacy), version: spec.Modern})
	if err != nil {
		return h.route.offered()
	}
	defer h.hub.giveBack(s)
	c := h.newCall(r, s, m)
	c.answerOn(s.newStream(h.answerTo(s, downstream.Accept{})))
	c.start(r.Context())
	defer c.stop()
	found, _, _ := dispatcher{s, c}.openAll(c.ctx, h.route.Members)
	return h.route.offeredBy(found)
}

// noDiscovery answers server/discover where the servers have sessions: clients
// of both eras then begin one.
func noDiscovery() *spec.Error {
	f := spec.MethodNotFound(spec.ServerDiscover)
	f.Text += "; the servers behind this endpoint have sessions, initialize"
	return f
}
