package jsonrpc

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// maxDepth is how deep arrays and objects may be nested in a message.
const maxDepth = 128

// maxBatch is how many messages a batch may have.
const maxBatch = 128

// ErrBatch: the message is an array, a batch, which MCP has in its revision
// 2025-03-26 only. It is wrapped in a *ParseError.
var ErrBatch = errors.New("batches are not accepted")

// ParseError says why bytes are no message.
type ParseError struct {
	// Code is the error code to answer with: CodeParseError when the bytes are
	// no JSON, CodeInvalidRequest when they are no JSON-RPC.
	Code int
	// Offset is the byte where it was noticed.
	Offset int
	// Reason is for people, and holds nothing of the message but a key.
	Reason string

	err error
}

func (e *ParseError) Error() string {
	return fmt.Sprintf("invalid message at byte %d: %s", e.Offset, e.Reason)
}

func (e *ParseError) Unwrap() error { return e.err }

// Parse reads one message. The message refers to b, which must not be changed
// afterwards. Errors are of type *ParseError.
//
// Beyond JSON and UTF-8 it demands of the envelope what keeps two readers from
// seeing two messages in it: no key twice in the top level, params,
// params._meta, result, result._meta and error; on the first two levels not
// even in another case, since some parsers ignore it.
func Parse(b []byte) (*Message, error) {
	s, err := scan(b)
	if err != nil {
		return nil, err
	}
	if s.peek() == '[' {
		return nil, &ParseError{CodeInvalidRequest, s.pos, ErrBatch.Error(), ErrBatch}
	}
	m, err := s.message(0)
	if err = s.finish(err); err != nil {
		return nil, err
	}
	return m, nil
}

// ParseBatch reads an array of messages (JSON-RPC 2.0 section 6, MCP
// 2025-03-26), each of which Parse would accept. An empty one is refused.
func ParseBatch(b []byte) ([]*Message, error) {
	s, err := scan(b)
	if err != nil {
		return nil, err
	}
	if s.peek() != '[' {
		return nil, &ParseError{Code: CodeInvalidRequest, Offset: s.pos, Reason: "not a batch"}
	}
	var batch []*Message
	for more := s.enter(']'); more; more, err = s.next(']') {
		m, err := s.message(1)
		if err != nil {
			return nil, err
		}
		if batch = append(batch, m); len(batch) > maxBatch {
			return nil, &ParseError{Code: CodeInvalidRequest, Offset: s.pos, Reason: "too many messages in a batch"}
		}
	}
	if err == nil && len(batch) == 0 {
		s.invalid(0, "empty batch")
	}
	if err = s.finish(err); err != nil {
		return nil, err
	}
	return batch, nil
}

// ParseValue reads any one JSON value, with the strictness about JSON, UTF-8
// and depth that Parse has, but none about keys.
func ParseValue(b []byte) (Value, error) {
	s, err := scan(b)
	if err != nil {
		return Value{}, err
	}
	v, err := s.value(0, anyObject)
	if err = s.finish(err); err != nil {
		return Value{}, err
	}
	return v, nil
}

// scan returns a scanner of a document, at its first byte that counts.
func scan(doc []byte) (s scanner, err error) {
	if s.doc = doc; !utf8.Valid(doc) {
		return s, s.syntax("invalid UTF-8")
	}
	s.space()
	return s, nil
}

// finish returns err or, where that is nil, what else is wrong with the document, in
// which nothing may follow the value that was read.
func (s *scanner) finish(err error) error {
	if s.space(); err == nil && s.pos < len(s.doc) {
		err = s.syntax("more than one value")
	}
	if err == nil {
		err = s.fault
	}
	return err
}

// message reads the object at the position. What is wrong with the envelope
// becomes the scanner's fault, so that bytes that are no JSON are always
// reported as such.
func (s *scanner) message(depth int) (*Message, error) {
	if s.pos < len(s.doc) && s.peek() != '{' {
		start := s.pos
		_, err := s.value(depth, anyObject)
		s.invalid(start, "not an object")
		return nil, cmp.Or(err, s.fault)
	}
	m := new(Message)
	outer := s.into
	s.into = m
	v, err := s.value(depth, envelope)
	s.into = outer
	if err != nil {
		return nil, err
	}
	m.envelope = v
	s.check(m)
	return m, nil
}

// check judges the members of the envelope.
func (s *scanner) check(m *Message) {
	at := m.envelope.start
	switch {
	case m.version.String() != "2.0":
		s.invalid(at, `jsonrpc is not "2.0"`)
	case m.methodValue.Exists():
		s.checkCall(m)
	case m.result.Exists() == m.err.Exists():
		s.invalid(at, "neither a request nor a response: one of method, result and error is needed")
	default:
		s.checkResponse(m)
	}
}

func (s *scanner) checkCall(m *Message) {
	method, ok := m.methodValue.text()
	m.method = method
	m.kind = Notification
	if !ok || method == "" {
		s.invalid(m.methodValue.start, "method is not a string")
	}
	if m.result.Exists() || m.err.Exists() {
		s.invalid(m.methodValue.start, "both a request and a response")
	}
	switch m.params.Kind() {
	case None, Null, Object:
	default:
		s.invalid(m.params.start, "params is not an object")
	}
	if m.rawID.Exists() {
		m.kind = Request
		s.checkID(m)
	}
}

func (s *scanner) checkResponse(m *Message) {
	m.kind = Response
	if m.params.Exists() {
		s.invalid(m.params.start, "both a request and a response")
	}
	if id := m.rawID.ID(); !id.IsZero() {
		m.id = id
	} else if m.rawID.Exists() && (m.rawID.Kind() != Null || m.result.Exists()) {
		s.checkID(m)
	} else if m.result.Exists() {
		s.invalid(m.envelope.start, "a result without id")
	}
	if !m.err.Exists() {
		return
	}
	code, ok := m.err.Get("code").wholeNumber()
	if m.code = code; !ok {
		s.invalid(m.err.start, "error has no integer code")
	}
	if m.err.Get("message").Kind() != String {
		s.invalid(m.err.start, "error has no message")
	}
}

func (s *scanner) checkID(m *Message) {
	id, reason := m.rawID.id()
	if reason != "" {
		s.invalid(m.rawID.start, "id "+reason)
	}
	m.id = id
}

// id reads an id; reason says why it is none.
func (v Value) id() (id ID, reason string) {
	if v.end-v.start > maxID {
		return ID{}, "is longer than " + strconv.Itoa(maxID) + " bytes"
	}
	switch v.Kind() {
	case String:
		// Two ids with half a surrogate pair each would be one id to most
		// parsers.
		if text, ok := v.text(); ok {
			return StringID(text), ""
		}
		return ID{}, "is not Unicode"
	case Number:
		raw := string(v.Raw())
		if !isInteger(raw) {
			return ID{}, "is not an integer"
		}
		digits, _ := integer(raw)
		return ID{digits}, ""
	default:
		return ID{}, "is neither a string nor an integer"
	}
}
