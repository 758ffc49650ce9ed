package mcp

import (
	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// identity is whose a session is, and of what kind. It is fixed when the session
// is published, and needs no lock then; a line sets init, version and naming
// once more, before it is ready.
type identity struct {
	id        string // by which the client names it; "": it is not published
	route     string // its name
	principal string
	// init are the params of initialize, which go to each server.
	init    []byte
	version string // what was negotiated with the client
	naming  federation.Naming
	// sessionless: made for single calls of clients without a session, who
	// can neither listen nor answer.
	sessionless bool
	// stateless: the client's revision has no sessions at all.
	stateless bool
	anonymous bool    // sessionless, and for one call only
	key       keptKey // sessionless: who else may use it
	// subscribed: made for one stream of subscriptions/listen.
	subscribed bool
}

// modern reports whether the client speaks a revision without sessions.
func (i *identity) modern() bool { return i.stateless }

// passes reports whether what the specification does not know passes to the
// only server. Where the route hides tools of it nothing does: the server may
// have ways of its own to call a tool.
func (i *identity) passes(refs []federation.Member) bool {
	return i.naming.Transparent(refs) && refs[0].Tools.All()
}

// batches reports whether the session has them. It must have been initialised.
func (i *identity) batches() bool { return i.version == spec.Batches }

// mayAsk reports whether servers may ask the client of a modern request.
func (i *identity) mayAsk() bool {
	if !i.modern() {
		return false
	}
	init, err := jsonrpc.ParseValue(i.init)
	caps := init.Get("capabilities")
	return err == nil && (caps.Get("elicitation").Exists() || caps.Get("sampling").Exists() || caps.Get("roots").Exists())
}
