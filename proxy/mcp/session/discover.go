package session

import (
	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// discover answers server/discover (MCP 2026-07-28, Discovery).
func (d dispatcher) discover() ([]byte, error) {
	if o := d.route.Offered(); !o.Unknown && !o.Modern() {
		return nil, NoDiscovery() // no server need be asked
	}
	refs := d.route.Members
	if d.session.naming.Transparent(refs) {
		return d.discoverOne(refs[0])
	}
	return d.discoverAll(refs)
}

// discoverOne passes on who the only server is and what it can do, and those
// of its revisions that the gateway speaks.
func (d dispatcher) discoverOne(ref federation.Member) ([]byte, error) {
	d.ask(ref.Name)
	server, err := d.reach(d.ctx, ref)
	if err != nil {
		return nil, err
	}
	offered := d.route.offeredBy([]federation.Profile{{Member: ref, Revisions: server.Serves()}})
	if !offered.Modern() {
		return nil, NoDiscovery()
	}
	if m := server.Discover; m != nil {
		var e jsonrpc.Edits
		e.SetID(m, d.msg.ID())
		e.Set(m.Result(), "supportedVersions", offered.JSON())
		d.modernize(&e, ref, m)
		return e.Apply(m), nil
	}
	init := server.Result.Result()
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
			e.Set(init, "_meta", jsonrpc.NewObject(jsonrpc.MetaServerInfo, info.Raw()))
		}
	}
	return jsonrpc.NewResult(d.msg.ID(), e.ApplyTo(init)), nil
}

// discoverAll says what all servers together can do. Those that do not answer
// in time are named, and what the client keeps of this is of no age.
func (d dispatcher) discoverAll(refs []federation.Member) ([]byte, error) {
	found, missing, err := d.openAll(d.ctx, refs)
	if err != nil && len(missing) == len(refs) {
		return nil, err
	}
	offered := d.route.offeredBy(found)
	if !offered.Modern() {
		return nil, NoDiscovery()
	}
	hint := federation.HintOfAll(found)
	if len(missing) > 0 {
		hint = federation.Hint{}
	}
	meta := jsonrpc.NewObject(jsonrpc.MetaServerInfo, d.session.registry.serverInfo(), federation.Unavailable, missing)
	result := jsonrpc.NewObject("resultType", "complete", "supportedVersions", offered.JSON(),
		"capabilities", federation.Capabilities(found, false), "instructions", federation.Instructions(found),
		"ttlMs", hint.JSON(), "cacheScope", hint.Scope(), "_meta", meta)
	return jsonrpc.NewResult(d.msg.ID(), result), nil
}
