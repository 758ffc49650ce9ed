package relay

import (
	"context"
	"crypto/rand"
	"net/http"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// modern sends a request of the revision without sessions: all that the
// gateway must know is in it, and is repeated in headers (MCP 2026-07-28,
// Streamable HTTP, Request Metadata).
func (r *Relay) modern(ctx context.Context, m *jsonrpc.Message) error {
	version := m.Params().Get("_meta", jsonrpc.MetaProtocolVersion).String()
	if m.Method() == spec.SubscriptionsListen {
		return r.subscribe(ctx, m, version)
	}
	// Which parameters a tool wants in headers is in its definition, which the
	// client may have read long ago, or never.
	var mismatch *jsonrpc.Message
	take := func(got *jsonrpc.Message, _ http.Header) {
		switch {
		case got.Kind() == jsonrpc.Response && got.ErrorCode() == jsonrpc.CodeHeaderMismatch && m.Method() == spec.ToolsCall && mismatch == nil:
			mismatch = got
			return
		case got.Kind() == jsonrpc.Response && m.Method() == spec.ToolsList:
			r.tools.Admit(got, nil)
		}
		r.out.write(got.Raw())
	}
	err := r.persist(ctx, m, func() error { return r.exchange(ctx, m, r.modernHeader(m, version), take) })
	if err != nil || mismatch == nil {
		return err
	}
	if r.learn(ctx, m, version) != nil { // the server's own word is the better one
		r.out.write(mismatch.Raw())
		return nil //nolint:nilerr // the client has an answer
	}
	return r.exchange(ctx, m, r.modernHeader(m, version), take)
}

func (r *Relay) modernHeader(m *jsonrpc.Message, version string) http.Header {
	h := r.tools.Header(m)
	h.Set(spec.HeaderVersion, version)
	return posting(h)
}

// learn asks for the definition of the tool that m calls, for what it wants in
// headers, on behalf of the client that sent m.
func (r *Relay) learn(ctx context.Context, m *jsonrpc.Message, version string) error {
	meta := append([]byte(`{"_meta":`), m.Params().Get("_meta").Raw()...)
	page := func(cursor []byte) (answer *jsonrpc.Message, err error) {
		params := meta[:len(meta):len(meta)]
		if cursor != nil {
			params = append(append(params, `,"cursor":`...), cursor...)
		}
		list, err := jsonrpc.Parse(jsonrpc.NewRequest(jsonrpc.StringID(rand.Text()), spec.ToolsList, append(params, '}')))
		if err != nil {
			return nil, err
		}
		err = r.exchange(ctx, list, r.modernHeader(list, version), func(got *jsonrpc.Message, _ http.Header) {
			if got.Kind() == jsonrpc.Response {
				answer = got
			}
		})
		return answer, err
	}
	return r.tools.Search(m.Params().Get("name").String(), page, nil)
}
