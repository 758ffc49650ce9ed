package spec

// The headers of Streamable HTTP, in canonical form.
const (
	HeaderSession     = "Mcp-Session-Id"
	HeaderVersion     = "Mcp-Protocol-Version"
	HeaderLastEventID = "Last-Event-Id"
	// HeaderMethod and HeaderName repeat the body of a request of a revision without
	// sessions (MCP 2026-07-28, Streamable HTTP, Standard Request Headers).
	HeaderMethod = "Mcp-Method"
	HeaderName   = "Mcp-Name"
	// HeaderParam begins the headers that repeat a tool's arguments.
	HeaderParam = "Mcp-Param-"
)

// TraceHeaders are those of the W3C's Trace Context and Baggage, of one request each.
func TraceHeaders() []string { return []string{"Traceparent", "Tracestate", "Baggage"} }
