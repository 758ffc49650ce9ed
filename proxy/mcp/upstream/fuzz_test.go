package upstream

import (
	"testing"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

func FuzzHeader(f *testing.F) {
	for _, text := range []string{"us-west1", "Hello, 世界", " padded ", "line1\nline2", "=?base64?literal?=", "=?base64?aGk=?=", "=?base64?**?=", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if plain, ok := DecodeHeader(text); ok && utf8.ValidString(text) {
			if again, ok := DecodeHeader(EncodeHeader(plain)); !ok || again != plain {
				t.Errorf("%q is %q, and then %q", text, plain, again)
			}
		}
		if !utf8.ValidString(text) {
			return
		}
		coded := EncodeHeader(text)
		if plain, ok := DecodeHeader(coded); !ok || plain != text {
			t.Errorf("%q becomes %q, and then %q", text, coded, plain)
		}
		if !httpguts.ValidHeaderFieldValue(coded) {
			t.Errorf("%q becomes %q, which is no header", text, coded)
		}
	})
}

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
				header[m.header] = []string{EncodeHeader(text)}
			}
			if !m.agrees(header, args) {
				t.Errorf("%s disagrees with what it was made of: %v", m.header, header)
			}
		}
	})
}
