package upstream

import (
	"fmt"
	"net/http"
	"sync"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

const (
	// maxHeaderParamTools bounds the tools of a server that are remembered,
	// maxHeaderParamBytes what they take, and maxToolName the name of one.
	maxHeaderParamTools = 10000
	maxHeaderParamBytes = 1 << 20
	maxToolName         = 1 << 10
	// maxUnlisted bounds the names of tools that clients have called and that the
	// server does not list.
	maxUnlisted = 64
	// maxPages bounds the search for one tool.
	maxPages = 100
)

// toolHeaders are the parameters that the tools of one server want in headers. The
// zero toolHeaders know no tool. They may be used by several goroutines.
type toolHeaders struct {
	mu sync.Mutex
	// params are those of each tool; one that wants none is there as well. The
	// slices do not change.
	params map[string][]headerParam
	size   int // of params, in bytes
	// unlisted are tools that were called and that the server does not list. Clients
	// choose the names, so that few of them are remembered.
	unlisted map[string]struct{}
}

// header returns the headers that repeat a request of this revision.
func (t *toolHeaders) header(m *jsonrpc.Message, version string) http.Header {
	var params []headerParam
	if m.Method() == spec.ToolsCall {
		params, _ = t.of(m.Params().Get("name").String())
	}
	return requestHeaders(m, version, params)
}

// of returns what a tool wants in headers. known is false where the server is to
// be asked for the definition of the tool.
func (t *toolHeaders) of(tool string) (params []headerParam, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	params, known = t.params[tool]
	_, isUnlisted := t.unlisted[tool]
	return params, known || isUnlisted || len(tool) > maxToolName
}

// admit learns from an answer to tools/list, and returns it without the tools
// whose definitions are invalid (MCP 2026-07-28, Streamable HTTP, Schema
// Extension), and what the others want. invalid, which may be nil, gets to know why
// each is left out.
func (t *toolHeaders) admit(list *jsonrpc.Message, invalid func(error)) (admitted *jsonrpc.Message, found map[string][]headerParam) {
	if list.IsError() {
		return list, nil
	}
	found = map[string][]headerParam{}
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
	t.learn(found)
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

// learn notes what these tools want, as far as there is room: those that were known
// before make way.
func (t *toolHeaders) learn(found map[string][]headerParam) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.params == nil {
		t.params = map[string][]headerParam{}
	}
	for tool, params := range found {
		t.forget(tool)
		if n := sizeOf(tool, params); len(tool) <= maxToolName && n <= maxHeaderParamBytes {
			t.params[tool] = params
			t.size += n
		}
	}
	for _, news := range []bool{false, true} {
		for tool := range t.params {
			if len(t.params) <= maxHeaderParamTools && t.size <= maxHeaderParamBytes {
				return
			}
			if _, isNew := found[tool]; isNew == news {
				t.forget(tool)
			}
		}
	}
}

func (t *toolHeaders) forget(tool string) {
	if params, ok := t.params[tool]; ok {
		t.size -= sizeOf(tool, params)
		delete(t.params, tool)
	}
}

func sizeOf(tool string, params []headerParam) int {
	n := len(tool)
	for _, p := range params {
		n += len(p.header)
		for _, name := range p.path {
			n += len(name)
		}
	}
	return n
}

// search asks for the tools until the definition of one is there. post sends one
// tools/list, whose id newID makes; meta is the JSON of its _meta and may be nil.
// invalid is that of admit.
func (t *toolHeaders) search(tool string, newID func() jsonrpc.ID, meta []byte, post func(*jsonrpc.Message) (*jsonrpc.Message, error), invalid func(error)) error {
	var cursor []byte
	for range maxPages {
		params := jsonrpc.NewObject("_meta", meta, "cursor", cursor)
		m, err := jsonrpc.Parse(jsonrpc.NewRequest(newID(), spec.ToolsList, params))
		if err != nil {
			return fmt.Errorf("ask for the tools: %w", err)
		}
		list, err := post(m)
		if err != nil {
			return fmt.Errorf("ask for the tools: %w", err)
		}
		_, found := t.admit(list, invalid)
		if _, ok := found[tool]; ok {
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
		if t.unlisted == nil || len(t.unlisted) >= maxUnlisted {
			t.unlisted = map[string]struct{}{}
		}
		t.unlisted[tool] = struct{}{}
	}
	return nil
}
