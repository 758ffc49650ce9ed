package mcp

import (
	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// discover answers server/discover (MCP 2026-07-28, Discovery).
func (s *session) discover(c *call) ([]byte, error) {
	if o := c.route.offered(); !o.Unknown && !o.Modern() {
		return nil, noDiscovery() // no server need be asked
	}
	refs := c.route.Members
	if s.naming.Transparent(refs) {
		return s.discoverOne(c, refs[0])
	}
	return s.discoverAll(c, refs)
}

// discoverOne passes on who the only server is and what it can do, and those
// of its revisions that the gateway speaks.
func (s *session) discoverOne(c *call, ref federation.Member) ([]byte, error) {
	c.ask(ref.Name)
	p := s.servers.at(ref.Name)
	if p == nil {
		return nil, errEnded
	}
	l, err := p.acquire(c.ctx, c)
	if err != nil {
		return nil, err
	}
	defer p.release(l)
	offered := c.route.offeredBy([]federation.Profile{{Member: ref, Revisions: l.up.Server().Serves()}})
	if !offered.Modern() {
		return nil, noDiscovery()
	}
	if m := l.up.Server().Discover; m != nil {
		var e jsonrpc.Edits
		e.SetID(m, c.msg.ID())
		e.Set(m.Result(), "supportedVersions", offered.JSON())
		c.modernize(&e, ref, m)
		return e.Apply(m), nil
	}
	init := l.up.Server().Result.Result()
	var e jsonrpc.Edits
	e.Delete(init.Get("capabilities"), "tasks") // those of 2025-11-25 are gone
	e.Delete(init, "protocolVersion")
	e.Delete(init, "serverInfo")
	e.SetString(init, "resultType", "complete")
	e.Set(init, "supportedVersions", offered.JSON())
	e.Set(init, "ttlMs", []byte("0"))
	e.SetString(init, "cacheScope", federation.Hint{}.Scope())
	if info := init.Get("serverInfo"); info.Exists() {
		if meta := init.Get("_meta"); meta.Kind() == jsonrpc.Object {
			e.Set(meta, jsonrpc.MetaServerInfo, info.Raw())
		} else {
			e.Set(init, "_meta", object(jsonrpc.MetaServerInfo, info.Raw()))
		}
	}
	return jsonrpc.NewResult(c.msg.ID(), e.ApplyTo(init)), nil
}

// object is a JSON object of one member.
func object(key string, value []byte) []byte {
	b := append(jsonrpc.AppendString([]byte{'{'}, key), ':')
	return append(append(b, value...), '}')
}

// discoverAll says what all servers together can do. Those that do not answer
// in time are named, and what the client keeps of this is of no age.
func (s *session) discoverAll(c *call, refs []federation.Member) ([]byte, error) {
	found, missing, err := s.openAll(c.ctx, c, refs)
	if err != nil && len(missing) == len(refs) {
		return nil, err
	}
	offered := c.route.offeredBy(found)
	if !offered.Modern() {
		return nil, noDiscovery()
	}
	hint := federation.HintOfAll(found)
	if len(missing) > 0 {
		hint = federation.Hint{}
	}
	b := append([]byte(`{"resultType":"complete","supportedVersions":`), offered.JSON()...)
	b = append(append(b, `,"capabilities":`...), federation.Capabilities(found)...)
	if text := federation.Instructions(found); text != "" {
		b = jsonrpc.AppendString(append(b, `,"instructions":`...), text)
	}
	b = hint.Append(append(b, ','))
	b = append(append(b, `,"_meta":{"`...), jsonrpc.MetaServerInfo...)
	b = append(append(b, `":`...), s.hub.serverInfo()...)
	if len(missing) > 0 {
		b = federation.AppendUnavailable(append(b, ','), missing)
	}
	return jsonrpc.NewResult(c.msg.ID(), append(b, "}}"...)), nil
}
