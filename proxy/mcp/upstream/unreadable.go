package upstream

import (
	"bytes"
	"errors"
	"slices"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// UnreadableError says that the server answered, and that the answer cannot be
// read. It is ErrProtocol.
type UnreadableError struct {
	// Reason says what is wrong, and holds nothing of the answer but a key.
	Reason string
}

func (e *UnreadableError) Error() string {
	return "the server's answer could not be read: " + e.Reason
}

// Is makes an UnreadableError ErrProtocol.
func (e *UnreadableError) Is(target error) bool { return target == ErrProtocol }

// salvage reads what can be read of a message that Parse refuses: the id of the
// answer, or that it is a request or a notification. ok is false when it is not
// even that.
func salvage(b []byte) (id jsonrpc.ID, method string, ok bool) {
	v, err := jsonrpc.ParseValue(nameNumbers(bytes.ToValidUTF8(b, []byte("?"))))
	if err != nil || v.Kind() != jsonrpc.Object {
		return jsonrpc.ID{}, "", false
	}
	return v.Get("id").ID(), v.Get("method").String(), true
}

// notNumbers are what some encoders write for numbers that JSON does not have.
var notNumbers = [][]byte{[]byte("-Infinity"), []byte("Infinity"), []byte("NaN")}

// nameNumbers puts null in the place of what is no number, outside of strings.
func nameNumbers(b []byte) []byte {
	var out []byte
	inString := false
	for i := 0; i < len(b); i++ {
		switch {
		case inString && b[i] == '\\' && i+1 < len(b):
			out = append(out, b[i])
			i++
		case b[i] == '"':
			inString = !inString
		case !inString:
			isPrefix := func(word []byte) bool { return bytes.HasPrefix(b[i:], word) }
			if n := slices.IndexFunc(notNumbers, isPrefix); n >= 0 {
				out = append(out, "null"...)
				i += len(notNumbers[n]) - 1
				continue
			}
		}
		out = append(out, b[i])
	}
	return out
}

// isMessage reports whether bytes that are no message were meant as one, and
// are not what a program writes for people.
func isMessage(b []byte) bool { return bytes.Contains(b, []byte(`"jsonrpc"`)) }

// parse returns the messages in one piece: several only in a batch (MCP
// 2025-03-26).
func parse(b []byte) ([]*jsonrpc.Message, error) {
	m, err := jsonrpc.Parse(b)
	if errors.Is(err, jsonrpc.ErrBatch) {
		return jsonrpc.ParseBatch(b)
	}
	if err != nil {
		return nil, err
	}
	return []*jsonrpc.Message{m}, nil
}
