package upstream

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// requester sends requests to a server without sessions: each says what the
// server would know of its client if there were one.
type requester struct {
	transport transport
	ids       *ids
	known     knowledge     // of the endpoint
	client    jsonrpc.Value // the params of initialize

	level atomic.Value // string: of the log, that the client has set
}

// post sends one request as it is, but for what belongs to the hop. params are
// what the called tool wants in headers.
func (r *requester) post(ctx context.Context, m *jsonrpc.Message, params []headerParam, on func(*jsonrpc.Message)) (*jsonrpc.Message, error) {
	req := request{body: r.addMetadata(m), id: m.ID(), on: on}
	if r.transport.kind().OneStream() {
		method := m.Method()
		req.token = m.Params().Get("_meta", "progressToken").ID()
		req.quiet = method == spec.SubscriptionsListen || method == spec.ServerDiscover
	} else {
		req.repeats = requestHeaders(m, spec.Modern, params)
	}
	answer, err := r.transport.call(ctx, req)
	if status, ok := errors.AsType[*StatusError](err); ok && status.lost {
		r.known.doubt()
	}
	return answer, err
}

// addMetadata writes into a request what the hop is: the client's own words about
// itself stay where it has said them.
func (r *requester) addMetadata(m *jsonrpc.Message) []byte {
	var e jsonrpc.Edits
	meta := m.Params().Get("_meta")
	e.SetMeta(m, jsonrpc.MetaProtocolVersion, jsonrpc.AppendString(nil, spec.Modern))
	if !meta.Get(jsonrpc.MetaCapabilities).Exists() {
		caps := r.client.Get("capabilities").Raw()
		if caps == nil {
			caps = []byte("{}")
		}
		e.SetMeta(m, jsonrpc.MetaCapabilities, caps)
		if who := r.client.Get("clientInfo"); who.Exists() {
			e.SetMeta(m, jsonrpc.MetaClientInfo, who.Raw())
		}
		if level, _ := r.level.Load().(string); level != "" {
			e.SetMeta(m, jsonrpc.MetaLogLevel, jsonrpc.AppendString(nil, level))
		}
	}
	return e.Apply(m)
}
