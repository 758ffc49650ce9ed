package filter

import (
	"cmp"
	"context"
	"sync"
)

// RequestInfo collects the facts of one request that only those who serve it know.
// All methods may be called by several goroutines at once, also after the
// request has ended, when they change nothing that the log still reads.
type RequestInfo struct {
	id string

	mu    sync.Mutex
	facts facts
}

type facts struct {
	route, cluster, endpoint string
	mcpMethod, mcpTool       string
	flag                     Flag
	reason                   string
	generation               uint64
	principal                Principal
	spliced                  int64
}

type requestInfoKey struct{}

// RequestInfoFrom returns that of the request that ctx belongs to. Outside of
// an AccessLog it returns one that no log reads, never nil.
func RequestInfoFrom(ctx context.Context) *RequestInfo {
	if r, ok := ctx.Value(requestInfoKey{}).(*RequestInfo); ok {
		return r
	}
	return &RequestInfo{}
}

// RequestID identifies the request in logs, and upstream as X-Request-Id.
// Empty outside of an AccessLog.
func (r *RequestInfo) RequestID() string { return r.id }

// SetGeneration names the generation that serves the request.
func (r *RequestInfo) SetGeneration(number uint64) {
	r.set(func(f *facts) { f.generation = number })
}

// SetRoute names the route that matched.
func (r *RequestInfo) SetRoute(name string) { r.set(func(f *facts) { f.route = name }) }

// SetCluster names the cluster that was asked; of several, the last stays.
func (r *RequestInfo) SetCluster(name string) { r.set(func(f *facts) { f.cluster = name }) }

// SetEndpoint names the endpoint that was asked; after a retry, the last one.
func (r *RequestInfo) SetEndpoint(id string) { r.set(func(f *facts) { f.endpoint = id }) }

// SetPrincipal names who is asking.
func (r *RequestInfo) SetPrincipal(p Principal) { r.set(func(f *facts) { f.principal = p }) }

// SetMCP names the JSON-RPC method, and for tools/call the tool.
func (r *RequestInfo) SetMCP(method, tool string) {
	r.set(func(f *facts) { f.mcpMethod, f.mcpTool = method, tool })
}

// SetFlag says why the gateway decided the request's fate. The first flag
// stays: what follows is its consequence.
func (r *RequestInfo) SetFlag(flag Flag) {
	r.set(func(f *facts) { f.flag = cmp.Or(f.flag, flag) })
}

// SetReason says the same for people who read the log; it never reaches the
// client. The first reason stays.
func (r *RequestInfo) SetReason(text string) {
	r.set(func(f *facts) { f.reason = cmp.Or(f.reason, text) })
}

// AddBytes counts bytes sent to the client over a hijacked connection.
func (r *RequestInfo) AddBytes(n int64) { r.set(func(f *facts) { f.spliced += n }) }

func (r *RequestInfo) set(change func(*facts)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.facts)
}

func (r *RequestInfo) snapshot() facts {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.facts
}
