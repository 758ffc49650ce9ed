package mcp

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// json is the revisions as a JSON array.
func (o offer) json() []byte {
	b, _ := json.Marshal(o.versions) // strings always encode
	return b
}

// discover answers server/discover (MCP 2026-07-28, Discovery).
func (s *session) discover(c *call) ([]byte, error) {
	if o := c.route.offered(); !o.unknown && !o.modern() {
		return nil, noDiscovery() // no server need be asked
	}
	refs := c.route.Members
	if s.naming.transparent(refs) {
		return s.discoverOne(c, refs[0])
	}
	return s.discoverAll(c, refs)
}

// discoverOne passes on who the only server is and what it can do, and those
// of its revisions that the gateway speaks.
func (s *session) discoverOne(c *call, ref ClusterRef) ([]byte, error) {
	c.ask(ref.Name)
	p := s.peer(ref.Name)
	if p == nil {
		return nil, errEnded
	}
	l, err := p.acquire(c.ctx, c)
	if err != nil {
		return nil, err
	}
	defer p.release(l)
	offered := c.route.offeredBy([]opened{{ref: ref, serves: l.up.Serves()}})
	if !offered.modern() {
		return nil, noDiscovery()
	}
	if m := l.up.Discover(); m != nil {
		var e jsonrpc.Edits
		e.SetID(m, c.msg.ID())
		e.Set(m.Result(), "supportedVersions", offered.json())
		c.modernize(&e, ref, m)
		return e.Apply(m), nil
	}
	init := l.up.Result().Result()
	var e jsonrpc.Edits
	e.Delete(init.Get("capabilities"), "tasks") // those of 2025-11-25 are gone
	e.Delete(init, "protocolVersion")
	e.Delete(init, "serverInfo")
	e.SetString(init, "resultType", "complete")
	e.Set(init, "supportedVersions", offered.json())
	e.Set(init, "ttlMs", []byte("0"))
	e.SetString(init, "cacheScope", hint{}.scope())
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
func (s *session) discoverAll(c *call, refs []ClusterRef) ([]byte, error) {
	found, missing, err := s.openAll(c.ctx, c, refs)
	if err != nil && len(missing) == len(refs) {
		return nil, err
	}
	offered := c.route.offeredBy(found)
	if !offered.modern() {
		return nil, noDiscovery()
	}
	h := freshest()
	for _, f := range found {
		if f.discover == nil {
			h = hint{} // it has not said
			break
		}
		h = h.and(hintOf(f.discover.Result()))
	}
	if len(missing) > 0 {
		h = hint{}
	}
	b := append([]byte(`{"resultType":"complete","supportedVersions":`), offered.json()...)
	b = append(append(b, `,"capabilities":`...), union(found)...)
	if text := instructions(found); text != "" {
		b = jsonrpc.AppendString(append(b, `,"instructions":`...), text)
	}
	b = h.append(append(b, ','))
	b = append(append(b, `,"_meta":{"`...), jsonrpc.MetaServerInfo...)
	b = append(append(b, `":`...), s.hub.serverInfo()...)
	if len(missing) > 0 {
		names, _ := json.Marshal(missing) // strings always encode
		b = append(append(append(b, `,"`...), unavailableKey...), `":`...)
		b = append(b, names...)
	}
	return jsonrpc.NewResult(c.msg.ID(), append(b, "}}"...)), nil
}

// union declares what at least one server can do. Lists change when clusters
// come and go, whatever the servers say of themselves.
func union(found []opened) []byte {
	var parts []string
	for _, declared := range []struct{ name, value string }{
		{"tools", `{"listChanged":true}`},
		{"prompts", `{"listChanged":true}`},
		{"resources", `{"subscribe":true,"listChanged":true}`},
		{"completions", `{}`},
		{"logging", `{}`},
	} {
		if declares(found, declared.name) {
			parts = append(parts, `"`+declared.name+`":`+declared.value)
		}
	}
	if extensions := extensionsOf(found); extensions != "" {
		parts = append(parts, extensions)
	}
	return []byte("{" + strings.Join(parts, ",") + "}")
}

// declares reports whether at least one server declares a capability.
func declares(found []opened, path ...string) bool {
	return slices.ContainsFunc(found, func(f opened) bool {
		return f.result.Result().Get("capabilities").Get(path...).Exists()
	})
}

// extensionsOf is the member extensions of a federation's capabilities, "" when
// there is nothing in it: of those that can be shared, the ones that at least
// one server has.
func extensionsOf(found []opened) string {
	var names []string
	for _, name := range []string{"io.modelcontextprotocol/ui", "io.modelcontextprotocol/tasks"} {
		if declares(found, "extensions", name) {
			names = append(names, `"`+name+`":{}`)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return `"extensions":{` + strings.Join(names, ",") + "}"
}
