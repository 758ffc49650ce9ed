package federation

import (
	"encoding/json"
	"slices"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// Offer is what a route offers its clients: the revisions that all of its
// servers serve. A client of both eras that is offered the one without
// sessions uses it, and would lose what a server keeps in a session.
type Offer struct {
	// Versions has the newest first.
	Versions []string
	// Unknown reports whether a member has not been asked yet. Then Versions holds
	// none without sessions.
	Unknown bool
}

// Everything is the offer of all revisions, which Narrow begins with.
func Everything() Offer { return Offer{Versions: spec.Revisions()} }

// Modern reports whether a revision without sessions is offered.
func (o Offer) Modern() bool { return slices.Contains(o.Versions, spec.Modern) }

// Narrow takes out what a server does not serve.
func (o Offer) Narrow(served []string) Offer {
	o.Versions = slices.DeleteFunc(o.Versions, func(v string) bool { return !slices.Contains(served, v) })
	return o
}

// Sure returns the offer or, where the servers have no revision in common, the
// revisions with sessions, which the gateway translates for any server.
func (o Offer) Sure() Offer {
	if len(o.Versions) == 0 {
		o.Versions = spec.Legacy()
	}
	return o
}

// JSON is the revisions as a JSON array.
func (o Offer) JSON() []byte {
	b, _ := json.Marshal(o.Versions) // strings always encode
	return b
}
