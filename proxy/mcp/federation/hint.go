package federation

import (
	"strconv"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// maxTTL bounds, in milliseconds, how long clients may keep what was merged or
// renamed here: a new generation may change it.
const maxTTL = 60_000

// Hint says how long, and for whom, a result may be kept (MCP 2026-07-28,
// Caching). The zero Hint is that of a server that says nothing: not at all.
type Hint struct {
	// TTL is in milliseconds.
	TTL int64
	// Public reports whether what was made for one client may serve another.
	Public bool
}

// Freshest is the hint that And begins with.
func Freshest() Hint { return Hint{TTL: maxTTL, Public: true} }

// HintOf returns the hint of a result.
func HintOf(result jsonrpc.Value) Hint {
	ttl, _ := result.Get("ttlMs").Int()
	return Hint{TTL: max(ttl, 0), Public: result.Get("cacheScope").String() == "public"}
}

// And returns the hint of what is made of two results.
func (h Hint) And(o Hint) Hint {
	return Hint{TTL: min(h.TTL, o.TTL), Public: h.Public && o.Public}
}

// Renamed returns the hint of a result in which names were changed.
func (h Hint) Renamed() Hint {
	h.TTL = min(h.TTL, maxTTL)
	return h
}

// Scope is the value of cacheScope.
func (h Hint) Scope() string {
	if h.Public {
		return "public"
	}
	return "private"
}

// JSON is the value of ttlMs.
func (h Hint) JSON() []byte { return strconv.AppendInt(nil, h.TTL, 10) }
