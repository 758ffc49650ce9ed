package jsonrpc

import (
	"fmt"
	"strconv"
)

// ValueKind is the JSON type of a value.
type ValueKind uint8

// The kinds of values.
const (
	// None is the kind of a value that does not exist.
	None ValueKind = iota
	Null
	Bool
	Number
	String
	Array
	Object
)

// Value is a span of a document that was parsed, and is therefore valid: its methods
// cannot fail. The zero Value stands for a value that does not exist.
type Value struct {
	doc        []byte
	start, end int
}

// Exists reports whether there is a value (null is one).
func (v Value) Exists() bool { return v.end > v.start }

// Kind returns the JSON type.
func (v Value) Kind() ValueKind {
	if !v.Exists() {
		return None
	}
	switch v.doc[v.start] {
	case '{':
		return Object
	case '[':
		return Array
	case '"':
		return String
	case 't', 'f':
		return Bool
	case 'n':
		return Null
	default:
		return Number
	}
}

// Raw returns the value's bytes, nil when it does not exist. They belong to
// the document and must not be changed; appending to them is safe.
func (v Value) Raw() []byte {
	if !v.Exists() {
		return nil
	}
	return v.doc[v.start:v.end:v.end]
}

// Get walks down the members of objects, case-sensitive. Of a key that occurs
// twice, which the envelope cannot have, it takes the last, as most parsers
// do; see [Value.DuplicateKey].
func (v Value) Get(path ...string) Value {
	for _, key := range path {
		if v.Kind() != Object {
			return Value{}
		}
		var found Value
		for k, member := range (walker{v.doc, v.start}).members {
			if k.is(v.doc, key) {
				found = member
			}
		}
		v = found
	}
	return v
}

// Each yields the members of an object or, with empty keys, the elements of
// an array; nothing for other kinds. It fits a range statement.
func (v Value) Each(yield func(key string, member Value) bool) {
	switch w := (walker{v.doc, v.start}); v.Kind() {
	case Object:
		w.members(func(k span, member Value) bool { return yield(k.text(v.doc), member) })
	case Array:
		w.elements(func(element Value) bool { return yield("", element) })
	}
}

// Len returns the number of members or elements, 0 for other kinds.
func (v Value) Len() int {
	n := 0
	for range v.Each {
		n++
	}
	return n
}

// DuplicateKey returns a key that an object has twice. Parse has refused it
// in the envelope, params, params._meta, result and error.
func (v Value) DuplicateKey() (key string, found bool) {
	if v.Kind() != Object {
		return "", false
	}
	var seen keySet
	for key := range v.Each {
		if !seen.add(key) {
			return key, true
		}
	}
	return "", false
}

// Ambiguity says why two readers could read the value in two ways, for people: an
// object in it has a key twice, or a string half a surrogate pair, which some read
// as U+FFFD, so that two keys become one (RFC 7493). It is "" where none could.
func (v Value) Ambiguity() string {
	const half = "half a surrogate pair in a string"
	switch w := (walker{v.doc, v.start}); v.Kind() {
	case String:
		if _, whole := v.text(); !whole {
			return half
		}
	case Array:
		for element := range w.elements {
			if why := element.Ambiguity(); why != "" {
				return why
			}
		}
	case Object:
		var seen keySet
		for k, member := range w.members {
			key, whole := decode(v.doc[k.start:k.end])
			if !whole {
				return half
			}
			if !seen.add(key) {
				return fmt.Sprintf("the member %.64q twice", key)
			}
			if why := member.Ambiguity(); why != "" {
				return why
			}
		}
	}
	return ""
}

// String returns the decoded text of a string, "" for other kinds.
func (v Value) String() string {
	text, _ := v.text()
	return text
}

// Int returns the number if it is written as an integer and fits.
func (v Value) Int() (n int64, ok bool) {
	if v.Kind() != Number {
		return 0, false
	}
	n, err := strconv.ParseInt(string(v.Raw()), 10, 64)
	return n, err == nil
}

// Bool returns whether the value is true.
func (v Value) Bool() bool { return v.Kind() == Bool && v.doc[v.start] == 't' }

// wholeNumber returns the number if it is an integer and fits, as of 5.0, 5.
func (v Value) wholeNumber() (n int64, ok bool) {
	if v.Kind() != Number {
		return 0, false
	}
	digits, _ := integer(string(v.Raw()))
	n, err := strconv.ParseInt(digits, 10, 64) // "" is none
	return n, err == nil
}

// ID returns a string or an integer as an id that was given before, such as the
// requestId of notifications/cancelled or a progressToken; the zero ID for
// anything else, and for what is longer than maxID. A peer that reads numbers as
// floating point gives 5 back as 5.0: both are the integer 5.
func (v Value) ID() ID {
	if v.Kind() == Number && v.end-v.start <= maxID {
		digits, _ := integer(string(v.Raw()))
		return ID{digits}
	}
	id, _ := v.id()
	return id
}
