package filter

import (
	"strings"
	"time"
)

// Entry is one line of the access log: one request, after it has ended. Text
// that a client chose is bounded and may hold any character; the code that writes it
// must escape it, as JSON does.
type Entry struct {
	// Time is when the request's header was read.
	Time     time.Time
	Duration time.Duration
	// RequestID is ours, unless a trusted proxy gave one.
	RequestID string
	Method    string
	Host      string
	// Path is percent-encoded, without the query: queries hold secrets.
	Path string
	// Protocol is HTTP/1.1, HTTP/2.0, …
	Protocol string
	// Status is 0 when the connection ended before an answer began.
	Status int
	// Bytes of the body sent to the client, or over the upgraded connection.
	Bytes int64
	// Client is the address of the client: of the connection, unless a
	// trusted proxy names another.
	Client string
	// Peer is the first SAN, else the subject, of the client's certificate.
	Peer string
	// Principal is who asked, as Principal.String has it; empty when
	// anonymous.
	Principal  string
	Generation uint64
	Route      string
	Cluster    string
	Endpoint   string
	MCPMethod  string
	MCPTool    string
	Flag       Flag
	// Reason is for the operator; it was not part of the answer.
	Reason string
}

// Longest texts of an Entry in bytes: a line stays a line, whatever a client
// sends.
const (
	maxPath   = 2048
	maxName   = 256
	maxReason = 1024
)

// clip bounds s to at most n bytes of valid UTF-8.
func clip(s string, n int) string {
	if len(s) <= n {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
