package federation

import (
	"crypto/sha256"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// fingerprint tells definitions apart: as they were sent, and what they say.
// Some servers write the same in another way for clients of another revision, or
// in each answer.
type fingerprint struct{ sent, content [sha256.Size]byte }

// of returns the fingerprint of a definition that may be the same as the one
// before.
func (f fingerprint) of(definition jsonrpc.Value) fingerprint {
	sent := sha256.Sum256(definition.Raw())
	if sent == f.sent {
		return f
	}
	return fingerprint{sent, definition.Digest()}
}
