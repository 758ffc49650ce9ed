package session

import (
	"strconv"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// modernize notes what a client expects of an answer that may come from a
// server of the other era: a modern one an HTTP status, the type of the result,
// and hints; all of them the codes of their own revision.
func (c *call) modernize(e *jsonrpc.Edits, ref federation.Member, m *jsonrpc.Message) {
	code := func(code int64) { e.Replace(m.Error().Get("code"), strconv.AppendInt(nil, code, 10)) }
	if !c.session.modern {
		if !c.session.servers.at(ref.Name).Server().Modern {
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
		c.status = spec.StatusOf(m.ErrorCode())
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
		rounds{c}.required(e, ref, res)
		return
	case kind.String() != "complete":
		return
	}
	if !spec.Request(c.msg.Method()).Cacheable {
		return
	}
	h := federation.HintOf(res)
	if !c.session.naming.Transparent(c.route.Members) {
		h = h.Renamed()
	}
	if ttl, ok := res.Get("ttlMs").Int(); !ok || ttl != h.TTL {
		e.Set(res, "ttlMs", strconv.AppendInt(nil, h.TTL, 10))
	}
	if res.Get("cacheScope").String() != h.Scope() {
		e.SetString(res, "cacheScope", h.Scope())
	}
}
