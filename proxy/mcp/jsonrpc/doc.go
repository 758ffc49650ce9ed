// Package jsonrpc is the wire of MCP: JSON-RPC 2.0 messages, read once and
// rewritten without encoding the rest anew.
//
// # What it owns
//
// [Parse] makes one strict pass over untrusted bytes. What it accepts is valid
// JSON in valid UTF-8, of bounded depth, and has an envelope that every parser
// reads in the same way: a gateway that filters and routes by one reading protects
// nothing where the server acts by another. What it does not know, it leaves as it
// is: a [Value] is a span of the message, and [Edits] splice
// spans, so that unknown fields, number formats and whitespace survive byte
// for byte.
//
// # What may run concurrently
//
// A [Message] and its [Value]s are immutable and may be shared. They refer to
// the bytes that were parsed, which must not be changed. [Edits] belong to one
// goroutine.
package jsonrpc
