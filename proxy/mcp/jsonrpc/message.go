package jsonrpc

// Kind says what a message is.
type Kind uint8

// The kinds of messages.
const (
	Request Kind = 1 + iota
	Notification
	// Response is the answer to a request, a result or an error.
	Response
)

// Message is one parsed message.
type Message struct {
	kind     Kind
	id       ID
	method   string
	code     int64
	envelope Value
	// Members of the envelope.
	version, rawID, methodValue, params, result, err Value
}

// Kind returns what the message is.
func (m *Message) Kind() Kind { return m.kind }

// ID returns the id, which a notification does not have. An error response
// that answers no known request has none either: its id is null or absent
// (JSON-RPC 2.0 section 5; optional in MCP 2025-11-25).
func (m *Message) ID() ID { return m.id }

// RawID returns the bytes of the id as received, nil when there is none.
func (m *Message) RawID() []byte { return m.rawID.Raw() }

// Method returns the method, "" of a response.
func (m *Message) Method() string { return m.method }

// Raw returns the whole message, without whitespace around it.
func (m *Message) Raw() []byte { return m.envelope.Raw() }

// Envelope returns the whole message as a value: the object that has the
// members jsonrpc, id, method and so on.
func (m *Message) Envelope() Value { return m.envelope }

// Params returns the params: an object, null (which some clients write for
// none), or no value.
func (m *Message) Params() Value { return m.params }

// Result returns the result of a response: any JSON, an object in MCP. It
// does not exist in an error.
func (m *Message) Result() Value { return m.result }

// Error returns the error object of a response. It does not exist in a result.
func (m *Message) Error() Value { return m.err }

// IsError reports whether the message is an error response.
func (m *Message) IsError() bool { return m.err.Exists() }

// ErrorCode returns the code of an error response, else 0.
func (m *Message) ErrorCode() int64 { return m.code }

// ErrorMessage returns the message of an error response, else "".
func (m *Message) ErrorMessage() string { return m.err.Get("message").String() }
