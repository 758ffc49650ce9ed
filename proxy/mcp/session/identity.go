package session

import (
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// identity is whose a session is, and of what kind. It is fixed when the session
// is published, and needs no lock then; initialize on a session's only stream sets
// init, version and naming once more.
type identity struct {
	id        string // by which the client names it; "": it is not published
	route     string // its name
	principal string
	// init are the params of initialize, which go to each server.
	init    []byte
	version string // what was negotiated with the client
	via     Transport
	naming  federation.Naming
	// sessionless: made for single calls of clients without a session, who
	// can neither listen nor answer.
	sessionless bool
	// modern: the client's revision has no sessions at all.
	modern    bool
	anonymous bool    // sessionless, and for one call only
	key       keptKey // sessionless: who else may use it
	// subscribed: made for one stream of subscriptions/listen.
	subscribed bool
}

// ID is how the client names the session, once it is published.
func (i *identity) ID() string { return i.id }

// BelongsTo reports whether the session is the principal's.
func (i *identity) BelongsTo(p filter.Principal) bool { return i.principal == p.Key() }

// Speaks reports whether the client has negotiated this revision.
func (i *identity) Speaks(version string) bool { return i.version == version }

// passes reports whether what the specification does not know passes to the
// only server. Where the route hides tools of it nothing does: the server may
// have ways of its own to call a tool.
func (i *identity) passes(refs []federation.Member) bool {
	return i.naming.Transparent(refs) && refs[0].Tools.All()
}

// mayAsk reports whether servers may ask the client of a modern request.
func (i *identity) mayAsk() bool {
	if !i.modern {
		return false
	}
	init, err := jsonrpc.ParseValue(i.init)
	caps := init.Get("capabilities")
	return err == nil && (caps.Get("elicitation").Exists() || caps.Get("sampling").Exists() || caps.Get("roots").Exists())
}
