package jsonrpc

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// unquote decodes the inside of a valid JSON string.
func unquote(b []byte) string {
	s, _ := decode(b)
	return s
}

// text decodes a string; ok is false for other kinds, and when the string has
// half a surrogate pair, which no Unicode text has.
func (v Value) text() (s string, ok bool) {
	if v.Kind() != String {
		return "", false
	}
	return decode(v.doc[v.start+1 : v.end-1])
}

// decode decodes the inside of a valid JSON string. Half a surrogate pair
// becomes U+FFFD, and whole is false.
func decode(b []byte) (s string, whole bool) {
	next := bytes.IndexByte(b, '\\')
	if next < 0 {
		return string(b), true
	}
	whole = true
	out := make([]byte, 0, len(b))
	for ; next >= 0; next = bytes.IndexByte(b, '\\') {
		out = append(out, b[:next]...)
		c := b[next+1]
		b = b[next+2:]
		switch c {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r := hexRune(b)
			b = b[4:]
			if utf16.IsSurrogate(r) {
				pair := rune(utf8.RuneError)
				if len(b) >= 6 && b[0] == '\\' && b[1] == 'u' {
					pair = utf16.DecodeRune(r, hexRune(b[2:]))
				}
				if r = pair; r != utf8.RuneError {
					b = b[6:]
				} else {
					whole = false
				}
			}
			out = utf8.AppendRune(out, r)
		default: // " \ /
			out = append(out, c)
		}
	}
	return string(append(out, b...)), whole
}

// hexRune reads the four digits of a \u escape.
func hexRune(b []byte) rune {
	var unit [2]byte
	_, _ = hex.Decode(unit[:], b[:4]) // the scanner has seen that they are digits
	return rune(binary.BigEndian.Uint16(unit[:]))
}

// isInteger reports whether a JSON number has neither fraction nor exponent.
func isInteger(number string) bool {
	return strings.IndexByte(number, '.') < 0 && strings.IndexByte(number, 'e') < 0 && strings.IndexByte(number, 'E') < 0
}
