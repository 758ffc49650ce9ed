package upstream

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// UnreadableError says that the server answered, and that the answer cannot be
// read. It is ErrProtocol.
type UnreadableError struct {
	// Reason says what is wrong, and holds nothing of the answer but a key.
	Reason string
}

func (e *UnreadableError) Error() string {
	return "the server's answer could not be read: " + e.Reason
}

// Is makes an UnreadableError ErrProtocol.
func (e *UnreadableError) Is(target error) bool { return target == ErrProtocol }

// salvage reads what can be read of a message that Parse refuses: the id of the
// answer, or that it is a request or a notification. ok is false when it is not
// even that.
func salvage(b []byte) (id jsonrpc.ID, method string, ok bool) {
	v, err := jsonrpc.ParseValue(nameNumbers(bytes.ToValidUTF8(b, []byte("?"))))
	if err != nil || v.Kind() != jsonrpc.Object {
		return jsonrpc.ID{}, "", false
	}
	return v.Get("id").ID(), v.Get("method").String(), true
}

// notNumbers are what some encoders write for numbers that JSON does not have.
var notNumbers = [][]byte{[]byte("-Infinity"), []byte("Infinity"), []byte("NaN")}

// nameNumbers puts null in the place of what is no number, outside of strings.
func nameNumbers(b []byte) []byte {
	var out []byte
	inString := false
	for i := 0; i < len(b); i++ {
		switch {
		case inString && b[i] == '\\' && i+1 < len(b):
			out = append(out, b[i])
			i++
		case b[i] == '"':
			inString = !inString
		case !inString:
			if n := notNumber(b[i:]); n > 0 {
				out = append(out, "null"...)
				i += n - 1
				continue
			}
		}
		out = append(out, b[i])
	}
	return out
}

// notNumber returns the length of what b begins with, if that is no number.
func notNumber(b []byte) int {
	for _, word := range notNumbers {
		if bytes.HasPrefix(b, word) {
			return len(word)
		}
	}
	return 0
}

// isMessage reports whether bytes that are no message were meant as one, and
// are not what a program writes for people.
func isMessage(b []byte) bool { return bytes.Contains(b, []byte(`"jsonrpc"`)) }

// DroppedError says that a notification or a request of the server cannot be
// read, and reaches no client.
type DroppedError struct {
	Method string
	err    error
}

func (e *DroppedError) Error() string { return e.Method + ": " + e.err.Error() }

// Unwrap returns what is wrong with it.
func (e *DroppedError) Unwrap() error { return e.err }

// drops takes a notification or a request of the server that is no message, and
// reports whether it was meant as one. Calls go on without a notification, and a
// server that asks is told.
func (s *Session) drops(b []byte, why error) bool {
	id, method, ok := salvage(b)
	if !ok || method == "" {
		return false
	}
	s.ignore(&DroppedError{snippet([]byte(method)), why})
	if !id.IsZero() {
		s.refuse(id, why)
	}
	return true
}

// unreadable takes what is no message. If it was meant as the answer to a call,
// that call ends with why; if it cannot be told to which call, all do that are
// in flight, since one of them would wait in vain.
func (d *duplex) unreadable(b []byte, why error) {
	if d.s.drops(b, why) {
		return
	}
	reason := &UnreadableError{why.Error()}
	id, _, ok := salvage(b)
	switch {
	case ok && !id.IsZero() && d.fail(id, reason):
	case ok && !id.IsZero(): // the answer to a call that was given up
		d.s.ignore(fmt.Errorf("id %s: %w", id, why))
	case isMessage(b) && d.failAll(reason):
	default:
		d.s.ignore(fmt.Errorf("%w: %s", why, snippet(b)))
	}
}

// receive takes what the server sent in one piece.
func (d *duplex) receive(b []byte) {
	messages, err := parse(b)
	if err != nil {
		d.unreadable(b, err)
		return
	}
	for _, m := range messages {
		d.receiveSized(m)
	}
}

// fail ends a call with err, and reports whether there is one with this id.
func (d *duplex) fail(id jsonrpc.ID, err error) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.callLocked(id)
	if p != nil {
		p.fail(err)
	}
	return p != nil
}

// failAll ends the calls that an answer without an id may be about with err, and
// reports whether there are any.
func (d *duplex) failAll(err error) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	suspects := d.suspectsLocked(false)
	for _, p := range suspects {
		p.fail(err)
	}
	return len(suspects) > 0
}

// suspectsLocked returns the calls in flight that may be meant by an answer that
// does not say which one it is about: all. Where they are of several sessions
// that share the process, one session could end the calls of the others so. Then
// it is the last one, if the server says that it could not read a request, which
// it does when it reads it; and none, if the answer cannot be read.
func (d *duplex) suspectsLocked(unread bool) []*pending {
	all := slices.Collect(maps.Values(d.calls))
	if d.s.shared.Load() == nil {
		return all
	}
	if slices.ContainsFunc(all, func(p *pending) bool { return !p.quiet }) {
		all = slices.DeleteFunc(all, func(p *pending) bool { return p.quiet })
	}
	switch {
	case !slices.ContainsFunc(all, func(p *pending) bool { return p.by != all[0].by }):
		return all
	case unread:
		return []*pending{slices.MaxFunc(all, func(a, b *pending) int { return cmp.Compare(a.nth, b.nth) })}
	}
	return nil
}

// fail ends the call, once the messages that came before are delivered.
func (p *pending) fail(err error) {
	select {
	case p.failed <- err:
	default:
	}
}

// callLocked returns the call with this id: servers that take an id for a
// string return a number as one, and the other way round.
func (d *duplex) callLocked(id jsonrpc.ID) *pending {
	if p := d.calls[id]; p != nil {
		return p
	}
	return d.calls[id.Twin()]
}

// parse returns the messages in one piece: several only in a batch (MCP
// 2025-03-26).
func parse(b []byte) ([]*jsonrpc.Message, error) {
	m, err := jsonrpc.Parse(b)
	if errors.Is(err, jsonrpc.ErrBatch) {
		return jsonrpc.ParseBatch(b)
	}
	if err != nil {
		return nil, err
	}
	return []*jsonrpc.Message{m}, nil
}

const (
	// ignoredWindow and ignoredReports bound what a session reports, beyond its
	// number, of what it ignores.
	ignoredWindow  = time.Minute
	ignoredReports = 10
)

// ignore tells of what no client gets.
func (s *Session) ignore(err error) {
	if s.opts.OnIgnored == nil {
		return
	}
	now := time.Now()
	s.mu.Lock()
	if now.Sub(s.ignoredSince) >= ignoredWindow {
		s.ignoredSince, s.ignored = now, 0
	}
	s.ignored++
	report := s.ignored <= ignoredReports
	s.mu.Unlock()
	s.opts.OnIgnored(err, report)
}
