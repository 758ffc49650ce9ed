package jsonrpc

import "bytes"

// Skimmer finds out the kind and the id of a message that is too long to be kept,
// while its bytes are read. It does not check them: of bytes that are no JSON it
// may say anything. The zero Skimmer is ready.
type Skimmer struct {
	depth    int
	object   bool // the message is one
	noise    bool // there is something besides an object or an array
	inString bool
	escaped  bool
	inValue  bool // of a member of the envelope
	key      string
	text     []byte // of the key or the value, as far as it is worth keeping

	id                            []byte
	isMessage, isCall, isResponse bool
}

// maxSkimmed bounds what is kept of a key or a value.
const maxSkimmed = maxID

// Write takes the next bytes. It never fails.
func (s *Skimmer) Write(p []byte) (int, error) {
	for i := 0; i < len(p); i++ {
		c := p[i]
		if s.inString {
			if s.depth > 1 && !s.escaped {
				// Most of a long message is one string: it need not be looked at
				// byte by byte.
				skip := bytes.IndexAny(p[i:], `"\`)
				if skip < 0 {
					break
				}
				i += skip
				c = p[i]
			}
			switch {
			case s.escaped:
				s.escaped = false
			case c == '\\':
				s.escaped = true
			case c == '"':
				s.inString = false
			}
			s.keep(c)
			continue
		}
		s.structure(c)
	}
	return len(p), nil
}

// structure takes a byte outside of strings.
func (s *Skimmer) structure(c byte) {
	switch c {
	case ' ', '\t', '\r', '\n':
	case '{', '[':
		if s.depth == 0 {
			s.object = c == '{'
		}
		if s.depth == 1 && !s.object && c == '{' {
			s.isMessage = true // a batch
		}
		s.keep(c)
		s.depth++
	case '}', ']':
		if s.depth == 1 {
			s.member()
		}
		s.depth--
	case '"':
		s.noise = s.noise || s.depth == 0
		s.inString = true
		s.keep(c)
	case ':':
		if s.depth == 1 && !s.inValue {
			s.named()
		}
	case ',':
		if s.depth == 1 {
			s.member()
		}
	default:
		s.noise = s.noise || s.depth == 0
		s.keep(c)
	}
}

// keep keeps a byte of a key or a value of the envelope.
func (s *Skimmer) keep(c byte) {
	if s.depth == 1 && s.object && len(s.text) <= maxSkimmed {
		s.text = append(s.text, c)
	}
}

// named notes that the key of a member is complete.
func (s *Skimmer) named() {
	s.inValue, s.key, s.text = true, string(s.text), s.text[:0]
	switch s.key {
	case `"jsonrpc"`:
		s.isMessage = true
	case `"method"`:
		s.isCall = true
	case `"result"`, `"error"`:
		s.isResponse = true
	}
}

// member notes that a member of the envelope is complete.
func (s *Skimmer) member() {
	if s.key == `"id"` {
		s.id = bytes.Clone(s.text)
	}
	s.inValue, s.key, s.text = false, "", s.text[:0]
}

// ID returns the id, if there was one so far.
func (s *Skimmer) ID() ID {
	v, err := ParseValue(s.id)
	if err != nil {
		return ID{}
	}
	return v.ID()
}

// IsMessage reports whether the bytes so far claim to be a message.
func (s *Skimmer) IsMessage() bool { return s.isMessage && !s.noise }

// IsCall reports whether they have a method.
func (s *Skimmer) IsCall() bool { return s.isCall && !s.noise }

// IsResponse reports whether they have a result or an error, and no method.
func (s *Skimmer) IsResponse() bool { return s.isResponse && !s.isCall && !s.noise }
