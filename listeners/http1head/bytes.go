package http1head

import (
	"bytes"

	"golang.org/x/net/http/httpguts"
)

// isToken reports whether c may be in a token (RFC 9110 section 5.6.2).
func isToken(c byte) bool { return httpguts.IsTokenRune(rune(c)) }

// token is the length of the token that b begins with.
func token(b []byte) int {
	for i, c := range b {
		if !isToken(c) {
			return i
		}
	}
	return len(b)
}

// printable reports whether b has no control character; tabs are allowed in
// values.
func printable(b []byte, tabs bool) bool {
	for _, c := range b {
		if c < ' ' && (c != '\t' || !tabs) || c == 0x7f {
			return false
		}
	}
	return true
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// trim removes the optional white space around a value.
func trim(b []byte) []byte { return bytes.Trim(b, " \t") }
