package mcp

import (
	"strconv"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// maxTTL bounds, in milliseconds, how long clients may keep what was merged or
// renamed here: a new generation may change it.
const maxTTL = 60_000

// hint says how long, and for whom, a result may be kept (MCP 2026-07-28,
// Caching). The zero hint is that of a server that says nothing: not at all.
type hint struct {
	ttl    int64 // milliseconds
	public bool
}

// freshest is the hint that and begins with.
func freshest() hint { return hint{ttl: maxTTL, public: true} }

func hintOf(result jsonrpc.Value) hint {
	ttl, _ := result.Get("ttlMs").Int()
	return hint{ttl: max(ttl, 0), public: result.Get("cacheScope").String() == "public"}
}

// and returns the hint of what is made of two results.
func (h hint) and(o hint) hint {
	return hint{ttl: min(h.ttl, o.ttl), public: h.public && o.public}
}

func (h hint) scope() string {
	if h.public {
		return "public"
	}
	return "private"
}

// append writes the members of a result.
func (h hint) append(b []byte) []byte {
	b = strconv.AppendInt(append(b, `"ttlMs":`...), h.ttl, 10)
	return append(append(append(b, `,"cacheScope":"`...), h.scope()...), '"')
}

// modernize notes what a client expects of an answer that may come from a
// server of the other era: a modern one an HTTP status, the type of the result,
// and hints; all of them the codes of their own revision.
func (c *call) modernize(e *jsonrpc.Edits, ref ClusterRef, m *jsonrpc.Message) {
	code := func(code int64) { e.Replace(m.Error().Get("code"), strconv.AppendInt(nil, code, 10)) }
	if !c.session.modern() {
		p := c.session.peer(ref.Name)
		if p == nil || !p.isModern() {
			return
		}
		if kind := m.Result().Get("resultType"); kind.String() == "complete" {
			e.Delete(m.Result(), "resultType") // it means nothing there
		}
		// A resource that is not there has a code of its own in revisions with
		// sessions.
		if m.ErrorCode() == jsonrpc.CodeInvalidParams && c.msg.Method() == spec.ResourcesRead {
			code(jsonrpc.CodeResourceNotFound)
		}
		return
	}
	if m.IsError() {
		c.status = statusOf(m.ErrorCode())
		if m.ErrorCode() == jsonrpc.CodeResourceNotFound {
			code(jsonrpc.CodeInvalidParams)
		}
		return
	}
	res := m.Result()
	switch kind := res.Get("resultType"); {
	case !kind.Exists():
		e.SetString(res, "resultType", "complete")
	case kind.String() == "input_required" && spec.Request(c.msg.Method()).MayRequireInput:
		c.required(e, ref, res)
		return
	case kind.String() != "complete":
		return
	}
	if !spec.Request(c.msg.Method()).Cacheable {
		return
	}
	h := hintOf(res)
	if !c.session.naming.transparent(c.route.Members) {
		h.ttl = min(h.ttl, maxTTL)
	}
	if ttl, ok := res.Get("ttlMs").Int(); !ok || ttl != h.ttl {
		e.Set(res, "ttlMs", strconv.AppendInt(nil, h.ttl, 10))
	}
	if res.Get("cacheScope").String() != h.scope() {
		e.SetString(res, "cacheScope", h.scope())
	}
}
