package jsonrpc

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"strings"
)

// maxSorted is how many members of an object are brought into order. In larger
// ones the order counts: to sort what a server sends could take many times the
// memory of what it has sent.
const maxSorted = 4096

// Digest returns a hash of what the value says. It is the same however the
// members of objects are ordered, strings escaped and numbers written, and
// wherever there is space. Members of one key are told apart by their order.
//
// The value is read once, however deep it is nested.
func (v Value) Digest() [sha256.Size]byte {
	if !v.Exists() {
		return [sha256.Size]byte{}
	}
	w := walker{doc: v.doc, pos: v.start}
	return sha256.Sum256(w.digest(nil))
}

// digested is a member of an object. Its text is short where the member is not.
type digested struct{ key, text string }

// digest appends what stands for the value at the position, and goes behind it.
// A hash stands for what is long, with a byte before it that begins no JSON, or
// no short one, so that no two values are written in the same way.
func (w *walker) digest(b []byte) []byte {
	start := w.pos
	switch w.doc[start] {
	case '{':
		return w.digestObject(b)
	case '[':
		h := sha256.New()
		var element []byte
		for w.pos++; w.next(']'); {
			element = append(w.digest(element[:0]), ',')
			_, _ = h.Write(element)
		}
		return h.Sum(append(b, '['))
	case '"':
		w.skipString()
		return appendShort(b, canonicalString(w.doc[start:w.pos]))
	}
	w.skipWord()
	word := w.doc[start:w.pos]
	if c := word[0]; c == '-' || '0' <= c && c <= '9' {
		if d, ok := readDecimal(string(word)); ok {
			word = d.append(nil)
		}
	}
	return appendShort(b, word)
}

func (w *walker) digestObject(b []byte) []byte {
	h := sha256.New()
	var members []digested
	flush := func() {
		slices.SortStableFunc(members, func(a, b digested) int { return strings.Compare(a.key, b.key) })
		for _, m := range members {
			_, _ = h.Write([]byte(m.key + ":" + m.text + ","))
		}
		members = members[:0]
	}
	for w.pos++; w.next('}'); {
		at := w.key()
		key := string(appendShort(nil, canonicalString(w.doc[at.start-1:at.end+1])))
		if members = append(members, digested{key, string(w.digest(nil))}); len(members) == maxSorted {
			flush()
		}
	}
	flush()
	return h.Sum(append(b, '{'))
}

// appendShort appends text, or the hash of a longer one.
func appendShort(b, text []byte) []byte {
	if len(text) <= sha256.Size {
		return append(b, text...)
	}
	sum := sha256.Sum256(text)
	return append(append(b, '#'), sum[:]...)
}

// canonicalString writes a string with no escape but the needed ones. One with
// half a surrogate pair stays as it is: decoded, it would be the same as others.
func canonicalString(raw []byte) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw
	}
	text, whole := decode(raw[1 : len(raw)-1])
	if !whole {
		return raw
	}
	return AppendString(nil, text)
}
