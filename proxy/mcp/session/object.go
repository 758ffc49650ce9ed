package session

import "github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"

// object is a JSON object of these members: each a key, and a string or the bytes of
// another value. Members without a value are left out.
func object(members ...any) []byte {
	b := []byte{'{'}
	for i := 0; i < len(members); i += 2 {
		value, ok := members[i+1].([]byte)
		if text, _ := members[i+1].(string); !ok && text != "" {
			value = jsonrpc.AppendString(nil, text)
		}
		if len(value) == 0 {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(append(jsonrpc.AppendString(b, members[i].(string)), ':'), value...)
	}
	return append(b, '}')
}

// array is a JSON array of strings; nil where there are none.
func array(texts []string) (b []byte) {
	for i, text := range texts {
		b = jsonrpc.AppendString(append(b, "[,"[min(i, 1)]), text)
	}
	if len(b) > 0 {
		b = append(b, ']')
	}
	return b
}
