package mcp

import "github.com/mcpgateway/mcpgateway/proxy/mcp/federation"

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

// knownPrincipal is the session's principal, "" for an anonymous client.
func (i *identity) knownPrincipal() string {
	if i.principal == anonymousKey {
		return ""
	}
	return i.principal
}
