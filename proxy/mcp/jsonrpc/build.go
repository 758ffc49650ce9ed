package jsonrpc

import (
	"strconv"
	"unicode/utf8"
)

// Error codes of JSON-RPC 2.0 section 5.1 and of MCP.
const (
	CodeParseError     = -32700
	CodeInvalidRequest = -32600
	CodeMethodNotFound = -32601
	CodeInvalidParams  = -32602
	CodeInternalError  = -32603

	// CodeResourceNotFound: resources/read of an unknown URI (MCP up to 2025-11-25).
	CodeResourceNotFound = -32002
	// CodeURLElicitationRequired: the client must open a URL first (MCP 2025-11-25).
	CodeURLElicitationRequired = -32042

	// Those of MCP 2026-07-28, Overview, Error Codes.

	CodeHeaderMismatch     = -32020
	CodeMissingCapability  = -32021
	CodeUnsupportedVersion = -32022
)

// NewRequest returns a request. params is JSON, or nil for none.
func NewRequest(id ID, method string, params []byte) []byte {
	b := append(begin(id, 32+len(method)+len(params)), `,"method":`...)
	return appendMember(AppendString(b, method), `,"params":`, params)
}

// NewNotification returns a notification. params is JSON, or nil for none.
func NewNotification(method string, params []byte) []byte {
	b := make([]byte, 0, 48+len(method)+len(params))
	b = append(b, `{"jsonrpc":"2.0","method":`...)
	return appendMember(AppendString(b, method), `,"params":`, params)
}

// NewResult returns the response to the request id. result is JSON; nil is {}.
func NewResult(id ID, result []byte) []byte {
	if result == nil {
		result = []byte("{}")
	}
	return appendMember(begin(id, 16+len(result)), `,"result":`, result)
}

// NewError returns an error response to the request id; the zero ID is
// written as null. data is JSON, or nil for none.
func NewError(id ID, code int, message string, data []byte) []byte {
	b := append(begin(id, 64+len(message)+len(data)), `,"error":{"code":`...)
	b = append(strconv.AppendInt(b, int64(code), 10), `,"message":`...)
	return append(appendMember(AppendString(b, message), `,"data":`, data), '}')
}

// begin returns the beginning of a message with an id, and room for more bytes.
func begin(id ID, more int) []byte {
	b := append(make([]byte, 0, 32+len(id.json)+more), `{"jsonrpc":"2.0","id":`...)
	return append(b, id.Raw()...)
}

// appendMember appends the last member of an object, if it has a value.
func appendMember(b []byte, key string, value []byte) []byte {
	if value != nil {
		b = append(append(b, key...), value...)
	}
	return append(b, '}')
}

// NewObject returns an object of these members: each a key, and a string, a list of
// strings, or the JSON of another value. It leaves out a list or JSON that is empty.
func NewObject(members ...any) []byte {
	b := []byte{'{'}
	for i := 0; i < len(members); i += 2 {
		var value []byte
		switch v := members[i+1].(type) {
		case string:
			value = AppendString(nil, v)
		case []string:
			for j, text := range v {
				value = AppendString(append(value, "[,"[min(j, 1)]), text)
			}
			if len(v) > 0 {
				value = append(value, ']')
			}
		case []byte:
			value = v
		}
		if len(value) == 0 {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(append(AppendString(b, members[i].(string)), ':'), value...)
	}
	return append(b, '}')
}

// AppendString appends s as a JSON string, with no escape but those that JSON
// demands. Invalid UTF-8 becomes U+FFFD.
func AppendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\r':
			b = append(b, '\\', 'r')
		case c == '\t':
			b = append(b, '\\', 't')
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c < utf8.RuneSelf:
			b = append(b, c)
		default:
			r, size := utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r)
			i += size
			continue
		}
		i++
	}
	return append(b, '"')
}
