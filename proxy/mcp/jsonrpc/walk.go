package jsonrpc

import "bytes"

// walker goes through a document that is known to be valid.
type walker struct {
	doc []byte
	pos int
}

// span is where a key stands, without its quotes.
type span struct{ start, end int }

// is reports whether the key, decoded, is this one.
func (k span) is(doc []byte, key string) bool {
	b := doc[k.start:k.end]
	if bytes.IndexByte(b, '\\') < 0 {
		return string(b) == key
	}
	return unquote(b) == key
}

func (k span) text(doc []byte) string { return unquote(doc[k.start:k.end]) }

// members yields the members of the object at the position.
func (w walker) members(yield func(span, Value) bool) {
	for w.pos++; w.next('}'); {
		key := w.key()
		start := w.pos
		if w.skip(); !yield(key, Value{w.doc, start, w.pos}) {
			return
		}
	}
}

// elements yields the elements of the array at the position.
func (w walker) elements(yield func(Value) bool) {
	for w.pos++; w.next(']'); {
		start := w.pos
		if w.skip(); !yield(Value{w.doc, start, w.pos}) {
			return
		}
	}
}

// next goes to the next member or element, or behind the end of the container,
// where it reports false.
func (w *walker) next(end byte) bool {
	if w.space(); w.doc[w.pos] == ',' {
		w.pos++
		w.space()
	}
	if w.doc[w.pos] == end {
		w.pos++
		return false
	}
	return true
}

// key goes from a key to its value.
func (w *walker) key() span {
	start := w.pos
	w.skipString()
	key := span{start + 1, w.pos - 1}
	w.space()
	w.pos++ // the colon
	w.space()
	return key
}

func (w *walker) space() {
	for w.doc[w.pos] <= ' ' {
		w.pos++
	}
}

// skip goes behind the value at the position.
func (w *walker) skip() {
	depth := 0
	for {
		switch w.doc[w.pos] {
		case '"':
			w.skipString()
		case '{', '[':
			depth++
			w.pos++
			continue
		case '}', ']':
			depth--
			w.pos++
		case ',', ':', ' ', '\t', '\n', '\r':
			w.pos++
			continue
		default:
			w.skipWord()
		}
		if depth == 0 {
			return
		}
	}
}

func (w *walker) skipString() {
	for w.pos++; ; w.pos++ {
		switch w.doc[w.pos] {
		case '"':
			w.pos++
			return
		case '\\':
			w.pos++
		}
	}
}

// skipWord goes behind a number, true, false or null.
func (w *walker) skipWord() {
	for w.pos < len(w.doc) {
		switch w.doc[w.pos] {
		case ',', ']', '}', ' ', '\t', '\n', '\r':
			return
		}
		w.pos++
	}
}
