package jsonrpc

import (
	"strconv"
)

// maxID is the longest id that is accepted, in bytes of JSON.
const maxID = 512

// ID is the id of a request and of its response: a string or an integer. The
// zero ID is no id. IDs are comparable and may be keys of maps: 1 and "1"
// differ, "A" and "\u0041" do not.
type ID struct {
	// json is the canonical encoding: the digits, or the string with no
	// escape but the needed ones.
	json string
}

// IntID returns the id n.
func IntID(n int64) ID { return ID{strconv.FormatInt(n, 10)} }

// StringID returns the id s, which must be valid UTF-8.
func StringID(s string) ID { return ID{string(AppendString(nil, s))} }

// Twin returns the id that a program takes for the same which does not tell strings
// from numbers: "1" of 1, and 1 of "1". Other ids have none: it is the zero ID.
func (id ID) Twin() ID {
	if id.IsZero() {
		return ID{}
	}
	if id.json[0] != '"' {
		return ID{`"` + id.json + `"`}
	}
	digits := id.json[1 : len(id.json)-1]
	if n, err := strconv.ParseInt(digits, 10, 64); err == nil && strconv.FormatInt(n, 10) == digits {
		return ID{digits}
	}
	return ID{}
}

// IsZero reports whether there is no id.
func (id ID) IsZero() bool { return id.json == "" }

// Raw returns the id as JSON, "null" for the zero ID. Escapes that a string
// does not need are not kept: the value is the same. See [Message.RawID] for
// the bytes that were received.
func (id ID) Raw() string {
	if id.json == "" {
		return "null"
	}
	return id.json
}

// String returns the id for logs, as JSON.
func (id ID) String() string { return id.Raw() }
