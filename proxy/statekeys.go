package proxy

import (
	"fmt"

	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/seal"
)

// stateKeys are the contents of state_key_files.
func (c *Config) stateKeys() [][]byte {
	keys := make([][]byte, 0, len(c.StateKeyFiles))
	for _, f := range c.StateKeyFiles {
		keys = append(keys, f.Data)
	}
	return keys
}

func (c *Config) checkStateKeys(s *config.Scope) {
	for i, f := range c.StateKeyFiles {
		at := fmt.Sprintf("state_key_files[%d]", i)
		if !s.Failed(at) && len(f.Data) < seal.MinKey {
			s.Errorf(at, "%s holds %d bytes; at least %d are needed, as openssl rand -base64 48 makes them", f.Path, len(f.Data), seal.MinKey)
		}
	}
}
