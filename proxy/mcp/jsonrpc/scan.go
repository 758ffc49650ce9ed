package jsonrpc

import "strings"

// objectRule says which object of the envelope is being read.
type objectRule uint8

const (
	// anyObject: the envelope says nothing about its keys.
	anyObject objectRule = iota
	envelope
	params
	result
	// plainMember: an object of the envelope that has no special member.
	plainMember
)

// inside returns the rule for the member key of an object under rule r.
func (r objectRule) inside(key string) objectRule {
	switch {
	case r == envelope && key == "params":
		return params
	case r == envelope && key == "result":
		return result
	case r == envelope && key == "error", (r == params || r == result) && key == "_meta":
		return plainMember
	}
	return anyObject
}

// scanner validates a document in one pass.
type scanner struct {
	doc []byte
	pos int
	// into receives the members of the envelope that is being read.
	into *Message
	// fault is the first thing wrong with an envelope that is valid JSON.
	fault error
}

func (s *scanner) syntax(reason string) error {
	if s.pos >= len(s.doc) {
		reason = "unexpected end"
	}
	return &ParseError{Code: CodeParseError, Offset: s.pos, Reason: reason}
}

func (s *scanner) invalid(at int, reason string) {
	if s.fault == nil {
		s.fault = &ParseError{Code: CodeInvalidRequest, Offset: at, Reason: reason}
	}
}

// peek returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	if s.pos < len(s.doc) {
		return s.doc[s.pos]
	}
	return 0
}

func (s *scanner) space() {
	for s.pos < len(s.doc) {
		switch s.doc[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// value reads one value; depth is the number of containers around it.
func (s *scanner) value(depth int, rule objectRule) (Value, error) {
	start := s.pos
	var err error
	switch c := s.peek(); {
	case c == '{' || c == '[':
		if depth++; depth > maxDepth {
			return Value{}, s.syntax("nested too deeply")
		}
		if c == '{' {
			err = s.object(depth, rule)
		} else {
			err = s.array(depth)
		}
	case c == '"':
		err = s.str()
	case c == '-' || '0' <= c && c <= '9':
		err = s.number()
	case c == 't':
		err = s.literal("true")
	case c == 'f':
		err = s.literal("false")
	case c == 'n':
		err = s.literal("null")
	default:
		err = s.syntax("expected a value")
	}
	return Value{s.doc, start, s.pos}, err
}

// enter goes into an object or array, and reports whether there is anything before
// its end.
func (s *scanner) enter(end byte) bool {
	s.pos++
	if s.space(); s.peek() != end {
		return true
	}
	s.pos++
	return false
}

// next goes behind the comma after a member or element. At the end it goes behind
// that, and reports false.
func (s *scanner) next(end byte) (more bool, err error) {
	s.space()
	switch s.peek() {
	case ',':
		s.pos++
		s.space()
		return true, nil
	case end:
		s.pos++
		return false, nil
	}
	if end == '}' {
		return false, s.syntax("expected , or } in an object")
	}
	return false, s.syntax("expected , or ] in an array")
}

func (s *scanner) object(depth int, rule objectRule) (err error) {
	var seen keySet
	for more := s.enter('}'); more; more, err = s.next('}') {
		if s.peek() != '"' {
			return s.syntax("expected a key")
		}
		start := s.pos
		if err := s.str(); err != nil {
			return err
		}
		inner := anyObject
		var key string
		if rule != anyObject {
			key = unquote(s.doc[start+1 : s.pos-1])
			inner = rule.inside(key)
			s.checkKey(start, key, rule, &seen)
		}
		if s.space(); s.peek() != ':' {
			return s.syntax("expected a colon")
		}
		s.pos++
		s.space()
		v, err := s.value(depth, inner)
		if err != nil {
			return err
		}
		if rule == envelope {
			s.into.member(key, v)
		}
	}
	return err
}

func (s *scanner) array(depth int) (err error) {
	for more := s.enter(']'); more; more, err = s.next(']') {
		if _, err := s.value(depth, anyObject); err != nil {
			return err
		}
	}
	return err
}

// checkKey refuses keys that two parsers could read differently. Parsers that
// ignore case (Go's encoding/json is one) take "Method" for "method".
func (s *scanner) checkKey(at int, key string, rule objectRule, seen *keySet) {
	folded := key
	if rule == envelope || rule == params {
		folded = fold(key)
	}
	if !seen.add(folded) {
		s.invalid(at, "duplicate key "+quoteShort(key))
	}
	if rule != envelope || folded == key {
		return
	}
	switch folded {
	case "jsonrpc", "id", "method", "params", "result", "error":
		s.invalid(at, "key "+quoteShort(key)+" is not written "+folded)
	}
}

// member notes a member of the envelope.
func (m *Message) member(key string, v Value) {
	switch key {
	case "jsonrpc":
		m.version = v
	case "id":
		m.rawID = v
	case "method":
		m.methodValue = v
	case "params":
		m.params = v
	case "result":
		m.result = v
	case "error":
		m.err = v
	}
}

// str reads a string (RFC 8259 section 7), whose UTF-8 is known to be valid.
func (s *scanner) str() error {
	for s.pos++; s.pos < len(s.doc); s.pos++ {
		switch c := s.doc[s.pos]; {
		case c == '"':
			s.pos++
			return nil
		case c < ' ':
			return s.syntax("control character in a string")
		case c == '\\':
			s.pos++
			if c := s.peek(); c == 'u' {
				for range 4 {
					if s.pos++; !isHex(s.peek()) {
						return s.syntax("invalid escape in a string")
					}
				}
			} else if c == 0 || strings.IndexByte(`"\/bfnrt`, c) < 0 {
				return s.syntax("invalid escape in a string")
			}
		}
	}
	return s.syntax("")
}

// number reads a number (RFC 8259 section 6).
func (s *scanner) number() error {
	if s.peek() == '-' {
		s.pos++
	}
	if s.peek() == '0' {
		s.pos++
	} else if !s.digits() {
		return s.syntax("invalid number")
	}
	if s.peek() == '.' {
		if s.pos++; !s.digits() {
			return s.syntax("invalid number")
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		if !s.digits() {
			return s.syntax("invalid number")
		}
	}
	return nil
}

// digits reads digits, and reports whether there was one.
func (s *scanner) digits() bool {
	start := s.pos
	for c := s.peek(); '0' <= c && c <= '9'; c = s.peek() {
		s.pos++
	}
	return s.pos > start
}

func (s *scanner) literal(word string) error {
	for i := range len(word) {
		if s.peek() != word[i] {
			return s.syntax("expected a value")
		}
		s.pos++
	}
	return nil
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
