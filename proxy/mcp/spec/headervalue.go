package spec

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

const (
	codedPrefix = "=?base64?"
	codedSuffix = "?="
)

// EncodeHeader writes a value for Mcp-Name and Mcp-Param headers: as it is
// where that is plain ASCII, else in base64 (MCP 2026-07-28, Streamable HTTP,
// Value Encoding).
func EncodeHeader(value string) string {
	plain := value == strings.TrimSpace(value) && !(strings.HasPrefix(value, codedPrefix) && strings.HasSuffix(value, codedSuffix))
	for i := range len(value) {
		plain = plain && (value[i] >= ' ' && value[i] <= '~' || value[i] == '\t')
	}
	if plain {
		return value
	}
	return codedPrefix + base64.StdEncoding.EncodeToString([]byte(value)) + codedSuffix
}

// DecodeHeader reads what EncodeHeader wrote. It reports false for what is
// neither base64 of UTF-8 nor plain.
func DecodeHeader(value string) (string, bool) {
	inner, ok := strings.CutPrefix(value, codedPrefix)
	if ok {
		inner, ok = strings.CutSuffix(inner, codedSuffix)
	}
	if !ok {
		return value, true
	}
	b, err := base64.StdEncoding.DecodeString(inner)
	return string(b), err == nil && utf8.Valid(b)
}
