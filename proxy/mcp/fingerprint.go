package mcp

import (
	"cmp"
	"crypto/sha256"
	"slices"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// fingerprint tells definitions apart: as they were sent, and what they say.
// Some servers send the members of an object in another order to clients of
// another revision.
type fingerprint struct{ sent, content [sha256.Size]byte }

// of returns the fingerprint of a definition that may be the same as the one
// before.
func (f fingerprint) of(definition jsonrpc.Value) fingerprint {
	sent := sha256.Sum256(definition.Raw())
	if sent == f.sent {
		return f
	}
	return fingerprint{sent, sha256.Sum256(appendSorted(nil, definition))}
}

// appendSorted appends JSON with the members of objects in the order of their keys,
// and without space. The scanner has bounded its depth.
func appendSorted(b []byte, v jsonrpc.Value) []byte {
	switch v.Kind() {
	case jsonrpc.Object:
		type member struct {
			key   string
			value jsonrpc.Value
		}
		var members []member
		for key, value := range v.Each {
			members = append(members, member{key, value})
		}
		slices.SortStableFunc(members, func(a, b member) int { return cmp.Compare(a.key, b.key) })
		b = append(b, '{')
		for _, m := range members {
			b = append(jsonrpc.AppendString(b, m.key), ':')
			b = append(appendSorted(b, m.value), ',')
		}
		return append(b, '}')
	case jsonrpc.Array:
		b = append(b, '[')
		for _, element := range v.Each {
			b = append(appendSorted(b, element), ',')
		}
		return append(b, ']')
	default:
		return append(b, v.Raw()...)
	}
}
