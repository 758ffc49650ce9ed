package upstream

import (
	"testing"

	"golang.org/x/net/http/httpguts"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

func FuzzMirrors(f *testing.F) {
	for _, tool := range []string{
		`{"inputSchema":{"properties":{"a":{"type":"string","x-mcp-header":"A"},"b":{"properties":{"c":{"type":"integer","x-mcp-header":"C"}}}}}}`,
		`{"inputSchema":{"anyOf":[{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}]}}`,
		`{"inputSchema":{"properties":{"a":{"type":"number","x-mcp-header":"A"}}}}`,
		`{"inputSchema":{"properties":{"a":{"type":"string","x-mcp-header":"A b"}}}}`,
	} {
		f.Add([]byte(tool), []byte(`{"arguments":{"a":"x","b":{"c":42.0}}}`))
	}
	f.Fuzz(func(t *testing.T, tool, params []byte) {
		definition, err := jsonrpc.ParseValue(tool)
		if err != nil {
			return
		}
		found, err := readHeaderParams(definition)
		if err != nil {
			return
		}
		args, err := jsonrpc.ParseValue(params)
		if err != nil {
			return
		}
		for _, m := range found {
			if !httpguts.ValidHeaderFieldName(m.header) {
				t.Errorf("%q is no header", m.header)
			}
			header := map[string][]string{}
			if text, ok := m.argument(args); ok {
				header[m.header] = []string{spec.EncodeHeader(text)}
			}
			if !m.agrees(header, args) {
				t.Errorf("%s disagrees with what it was made of: %v", m.header, header)
			}
		}
	})
}
