package mcp

import (
	"net/http"
	"slices"

	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// offer is what a route offers its clients: the revisions that all of its
// servers serve. A client of both eras that is offered the one without
// sessions uses it, and would lose what a server keeps in a session.
type offer struct {
	versions []string // newest first
	// unknown: a cluster has not been asked yet. Then versions holds none
	// without sessions.
	unknown bool
}

// modern reports whether a revision without sessions is offered.
func (o offer) modern() bool { return slices.Contains(o.versions, spec.Modern) }

// narrow takes out what a server does not serve.
func (o offer) narrow(served []string) offer {
	o.versions = slices.DeleteFunc(o.versions, func(v string) bool { return !slices.Contains(served, v) })
	return o
}

// sure returns the offer, or where the servers have no revision in common what
// can be translated for any of them.
func (o offer) sure() offer {
	if len(o.versions) == 0 {
		o.versions = spec.Legacy()
	}
	return o
}

// configured returns the offer that mcp.versions makes, if it is set.
func (r *Route) configured() (o offer, ok bool) {
	if len(r.Versions) == 0 {
		return offer{}, false
	}
	return offer{versions: spec.Revisions()}.narrow(r.Versions), true
}

// offered returns what the route offers, as far as that is known without
// asking a server.
func (r *Route) offered() offer {
	o, ok := r.configured()
	if ok {
		return o
	}
	o.versions = spec.Revisions()
	for _, ref := range r.Members {
		served, known := r.served(ref)
		if !known {
			o.unknown = true
			served = spec.Legacy()
		}
		o = o.narrow(served)
	}
	return o.sure()
}

// served returns the revisions that a cluster was found to serve.
func (r *Route) served(ref ClusterRef) (versions []string, known bool) {
	cluster, ok := r.Clusters.Get(ref.Name)
	if !ok {
		return nil, false
	}
	return r.transports.Serves(cluster)
}

// offeredBy returns what the route offers, from what is known and what the
// servers have just said. One that was never reached offers no revision without
// sessions: it may be one that has them.
func (r *Route) offeredBy(found []opened) offer {
	o, ok := r.configured()
	if ok {
		return o
	}
	o.versions = spec.Revisions()
	for _, ref := range r.Members {
		served, known := r.served(ref)
		i := slices.IndexFunc(found, func(f opened) bool { return f.ref.Name == ref.Name })
		if i >= 0 {
			o = o.narrow(found[i].serves)
		}
		switch {
		case known:
			o = o.narrow(served)
		case i < 0:
			o = o.narrow(spec.Legacy())
		}
	}
	return o.sure()
}

// refuseVersion refuses a message of a revision that is not spoken, and names
// those that the route offers. Servers are asked where that is not known.
func (h *Handler) refuseVersion(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message, requested string) {
	o := h.route.offered()
	if o.unknown {
		o = h.ask(r, m)
	}
	reject(w, r, m.ID(), notAmong(o.versions, requested))
}

// ask asks the servers of the route what they serve.
func (h *Handler) ask(r *http.Request, m *jsonrpc.Message) offer {
	s, err := h.hub.borrow(h.route, filter.PrincipalFrom(r.Context()), clientInit{params: h.hub.selfInit(spec.NewestLegacy), version: spec.Modern})
	if err != nil {
		return h.route.offered()
	}
	defer h.hub.giveBack(s)
	c := h.newCall(r, s, m, accept{})
	c.start(r.Context())
	defer c.stop()
	found, _, _ := s.openAll(c.ctx, c, h.route.Members)
	return h.route.offeredBy(found)
}

// noDiscovery answers server/discover where the servers have sessions: clients
// of both eras then begin one.
func noDiscovery() *failure {
	f := noMethod(spec.ServerDiscover)
	f.text += "; the servers behind this endpoint have sessions, initialize"
	return f
}
