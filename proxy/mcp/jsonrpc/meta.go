package jsonrpc

// Members of _meta that MCP reserves. With the first four each request of a
// revision without sessions says what a session would know (MCP 2026-07-28,
// Overview, _meta).
const (
	MetaProtocolVersion = "io.modelcontextprotocol/protocolVersion"
	MetaClientInfo      = "io.modelcontextprotocol/clientInfo"
	MetaCapabilities    = "io.modelcontextprotocol/clientCapabilities"
	MetaLogLevel        = "io.modelcontextprotocol/logLevel"
	MetaServerInfo      = "io.modelcontextprotocol/serverInfo"
	MetaSubscriptionID  = "io.modelcontextprotocol/subscriptionId"
	// MetaRelatedTask ties a message to a task (MCP 2025-11-25, Tasks).
	MetaRelatedTask = "io.modelcontextprotocol/related-task"
)
