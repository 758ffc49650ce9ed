package relay

import (
	"context"
	"crypto/rand"
	"net/http"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// pagesRead bounds the search for a tool's parameters.
const pagesRead = 100

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

// learn reads the definitions of the tools for what they want in headers, on
// behalf of the client that sent m.
func (r *Relay) learn(ctx context.Context, m *jsonrpc.Message, version string) error {
	meta := append([]byte(`{"_meta":`), m.Params().Get("_meta").Raw()...)
	params := append(meta[:len(meta):len(meta)], '}')
	for range pagesRead {
		list, err := jsonrpc.Parse(jsonrpc.NewRequest(jsonrpc.StringID(rand.Text()), spec.ToolsList, params))
		if err != nil {
			return err
		}
		var answer *jsonrpc.Message
		err = r.exchange(ctx, list, r.modernHeader(list, version), func(got *jsonrpc.Message, _ http.Header) {
			if got.Kind() == jsonrpc.Response {
				answer = got
			}
		})
		if err != nil {
			return err
		}
		r.tools.Admit(answer, nil)
		next := answer.Result().Get("nextCursor")
		if next.Kind() != jsonrpc.String {
			return nil
		}
		params = append(append(append(meta[:len(meta):len(meta)], `,"cursor":`...), next.Raw()...), '}')
	}
	return nil
}
