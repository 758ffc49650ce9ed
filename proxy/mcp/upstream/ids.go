package upstream

import (
	"sync/atomic"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// ids are the ids of the requests of a session, or of those that share a process.
type ids struct{ last atomic.Int64 }

// next returns an id that was not used.
func (i *ids) next() jsonrpc.ID { return jsonrpc.IntID(i.last.Add(1)) }

// startAfter makes the ids begin after last.
func (i *ids) startAfter(last int64) { i.last.Store(last) }
