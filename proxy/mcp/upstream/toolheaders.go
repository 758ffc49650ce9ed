package upstream

import (
	"fmt"
	"net/http"
	"sync"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// maxPages bounds the search for one tool.
const maxPages = 100

// ToolHeaders are the parameters that the tools of one server want in headers
// (MCP 2026-07-28, Streamable HTTP, Custom Headers from Tool Parameters). The zero
// ToolHeaders know no tool. They may be used by several goroutines and must not be
// copied.
type ToolHeaders struct {
	mu       sync.Mutex
	params   headerParams
	unlisted unlisted
}

// Header returns the headers that repeat the body of a request.
func (t *ToolHeaders) Header(m *jsonrpc.Message) http.Header {
	var params []headerParam
	if m.Method() == spec.ToolsCall {
		params, _ = t.of(m.Params().Get("name").String())
	}
	return requestHeaders(m, params)
}

// of returns what a tool wants in headers. known is false where the server is to
// be asked for the definition of the tool.
func (t *ToolHeaders) of(tool string) (params []headerParam, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	params, known = t.params[tool]
	_, isUnlisted := t.unlisted[tool]
	return params, known || isUnlisted || len(tool) > maxToolName
}

// Admit learns from an answer to tools/list, and returns it without the tools
// whose definitions are invalid (MCP 2026-07-28, Streamable HTTP, Schema
// Extension). invalid, which may be nil, gets to know why each is left out.
func (t *ToolHeaders) Admit(list *jsonrpc.Message, invalid func(error)) *jsonrpc.Message {
	admitted, _ := t.admit(list, invalid)
	return admitted
}

// admit is Admit, and returns the tools that were found as well.
func (t *ToolHeaders) admit(list *jsonrpc.Message, invalid func(error)) (*jsonrpc.Message, headerParams) {
	if list.IsError() {
		return list, nil
	}
	found := headerParams{}
	tools := list.Result().Get("tools")
	kept := []byte{'['}
	for _, tool := range tools.Each {
		name := tool.Get("name").String()
		params, err := readHeaderParams(tool)
		if err != nil {
			if invalid != nil {
				invalid(fmt.Errorf("the tool %q is left out: %w", name, err))
			}
			continue
		}
		found[name] = params
		if len(kept) > 1 {
			kept = append(kept, ',')
		}
		kept = append(kept, tool.Raw()...)
	}
	t.mu.Lock()
	if !t.params.hold(found) {
		t.params = t.params.with(found)
	}
	t.mu.Unlock()
	if len(found) == tools.Len() {
		return list, found
	}
	var e jsonrpc.Edits
	e.Replace(tools, append(kept, ']'))
	admitted, err := jsonrpc.Parse(e.Apply(list))
	if err != nil { // it is made of what was parsed
		return list, found
	}
	return admitted, found
}

// Search asks for the tools until the definition of one is there. page asks for
// one page; cursor is the JSON of the one that tools/list takes, nil for the first
// page. invalid is that of Admit.
func (t *ToolHeaders) Search(tool string, page func(cursor []byte) (*jsonrpc.Message, error), invalid func(error)) error {
	var cursor []byte
	for range maxPages {
		list, err := page(cursor)
		if err != nil {
			return fmt.Errorf("ask for the tools: %w", err)
		}
		if _, found := t.admit(list, invalid); found.has(tool) {
			return nil
		}
		next := list.Result().Get("nextCursor")
		if next.Kind() != jsonrpc.String {
			break
		}
		cursor = next.Raw()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.params[tool]; !ok && len(tool) <= maxToolName {
		t.unlisted = t.unlisted.with(tool)
	}
	return nil
}
