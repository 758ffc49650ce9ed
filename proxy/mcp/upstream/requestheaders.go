package upstream

import (
	"net/http"
	"sync"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// Repeats makes the headers that repeat a modern request's body, for a client
// that is no Session. The zero Repeats know no tool. They may be used by
// several goroutines and must not be copied.
type Repeats struct {
	mu    sync.Mutex
	known headerParams
}

// Learn reads from a list of tools which of their parameters are wanted in
// headers. Tools whose definitions are invalid are passed over.
func (r *Repeats) Learn(list *jsonrpc.Message) {
	found := headerParams{}
	for _, tool := range list.Result().Get("tools").Each {
		if params, err := readHeaderParams(tool); err == nil {
			found[tool.Get("name").String()] = params
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known = r.known.with(found)
}

// Header returns the headers of a request.
func (r *Repeats) Header(m *jsonrpc.Message) http.Header {
	var params []headerParam
	if m.Method() == spec.ToolsCall {
		r.mu.Lock()
		params = r.known[m.Params().Get("name").String()]
		r.mu.Unlock()
	}
	return requestHeaders(m, params)
}
