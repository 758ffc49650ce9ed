package upstream

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// maxDepth is how deep in a schema a parameter may be.
const maxDepth = 32

// headerParam is a parameter that a server wants in a header (MCP 2026-07-28,
// Streamable HTTP, Custom Headers from Tool Parameters).
type headerParam struct {
	header string // canonical
	path   []string
}

// readHeaderParams reads the annotations of a tool. An error makes the definition
// invalid.
func readHeaderParams(tool jsonrpc.Value) ([]headerParam, error) {
	var found []headerParam
	schema := tool.Get("inputSchema")
	if err := collect(schema, nil, &found); err != nil {
		return nil, err
	}
	if annotated(schema, 0) != len(found) {
		return nil, fmt.Errorf("x-mcp-header stands where no chain of properties leads to")
	}
	seen := map[string]bool{}
	for _, m := range found {
		if seen[m.header] {
			return nil, fmt.Errorf("x-mcp-header %q occurs twice", m.header)
		}
		seen[m.header] = true
	}
	return found, nil
}

func collect(schema jsonrpc.Value, path []string, found *[]headerParam) error {
	if len(path) > maxDepth {
		return nil
	}
	for name, property := range schema.Get("properties").Each {
		at := append(path[:len(path):len(path)], name)
		if mark := property.Get("x-mcp-header"); mark.Exists() {
			kind := property.Get("type").String()
			switch {
			case mark.Kind() != jsonrpc.String || !httpguts.ValidHeaderFieldName(mark.String()):
				return fmt.Errorf("the x-mcp-header of %q is no header name", strings.Join(at, "."))
			case kind != "string" && kind != "integer" && kind != "boolean":
				return fmt.Errorf("the x-mcp-header of %q is on a parameter of type %q", strings.Join(at, "."), kind)
			}
			*found = append(*found, headerParam{http.CanonicalHeaderKey(spec.HeaderParam + mark.String()), at})
		}
		if err := collect(property, at, found); err != nil {
			return err
		}
	}
	return nil
}

// annotated counts the annotations anywhere in a schema: wherever a schema may
// stand, which is not where values of the user's do.
func annotated(v jsonrpc.Value, depth int) int {
	if depth > 2*maxDepth {
		return 0
	}
	n := 0
	for key, member := range v.Each {
		switch {
		case key == "x-mcp-header" && v.Kind() == jsonrpc.Object:
			n++
		case key == "default", key == "const", key == "enum", key == "examples":
		case key == "properties":
			for _, property := range member.Each {
				n += annotated(property, depth+1)
			}
		default:
			n += annotated(member, depth+1)
		}
	}
	return n
}

// argument is the text of a call's parameter in a header, "" and false where
// there is none to send.
func (m headerParam) argument(params jsonrpc.Value) (string, bool) {
	v := params.Get("arguments").Get(m.path...)
	switch v.Kind() {
	case jsonrpc.String:
		return v.String(), true
	case jsonrpc.Bool:
		return strconv.FormatBool(v.Bool()), true
	case jsonrpc.Number:
		if n, ok := whole(string(v.Raw())); ok {
			return strconv.FormatInt(n, 10), true
		}
	}
	return "", false
}

// whole reads an integer that every JavaScript engine reads as the same.
func whole(text string) (int64, bool) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53-1 {
		return 0, false
	}
	return int64(f), true
}

// agrees reports whether the header that a client sent says the same as the
// parameter in the body. Integers are compared as numbers.
func (m headerParam) agrees(header http.Header, params jsonrpc.Value) bool {
	values := header[m.header]
	text, sent := m.argument(params)
	if !sent {
		return len(values) == 0
	}
	if len(values) != 1 {
		return false
	}
	plain, ok := spec.DecodeHeader(values[0])
	if !ok {
		return false
	}
	if params.Get("arguments").Get(m.path...).Kind() == jsonrpc.Number {
		n, ok := whole(plain)
		return ok && strconv.FormatInt(n, 10) == text
	}
	return plain == text
}

// requestHeaders returns the headers that repeat the body of a request of this
// revision.
func requestHeaders(m *jsonrpc.Message, version string, params []headerParam) http.Header {
	h := http.Header{spec.HeaderVersion: {version}, spec.HeaderMethod: {m.Method()}}
	if name := spec.NameOf(m); name.Kind() == jsonrpc.String {
		h[spec.HeaderName] = []string{spec.EncodeHeader(name.String())}
	}
	for _, p := range params {
		if text, ok := p.argument(m.Params()); ok {
			h[p.header] = []string{spec.EncodeHeader(text)}
		}
	}
	return h
}
