package upstream

import (
	"context"
	"crypto/rand"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// PassThrough returns a session with a gateway, in which messages pass byte for
// byte: their ids, metadata and pings are those of the client and the gateway. A
// gateway keeps to the protocol, so that 404 alone says that it does not know the
// session, and what it says with 401 and 403 is meant for the client.
//
// A Call of initialize begins the session at the gateway and must be over before
// the next one. A request that names its revision in itself (MCP 2026-07-28) needs
// no session, and is repeated in headers. pace is when a stream that broke off is
// asked for again. Of opts, those that apply are MaxMessage, MaxResult, OnMessage,
// which must not be nil, and OnIgnored. Endpoint must not be called.
func PassThrough(host Host, pace Pace, opts Options) *Session {
	s := newSession(opts, nil)
	s.place = &place{fixed: host}
	s.in.passes = true
	s.http = &httpClient{limits: s.limits, toGateway: true}
	t := &streamable{http: s.http, place: s.place, pace: pace, life: s.life, in: s.in, ids: s.ids, verify: verifyTime}
	s.use(t)
	s.era = &passing{stateful: stateful{t, s.ids}, agree: s.agree}
	return s
}

// passing is the era of a session that passes messages on: the client and the
// gateway know which one it is.
type passing struct {
	stateful
	agree func(*Server, era) error // of the session
	tools toolHeaders
}

func (p *passing) call(ctx context.Context, r request) (*jsonrpc.Message, error) {
	m, err := jsonrpc.Parse(r.body)
	if err != nil {
		return nil, &unsentError{err}
	}
	if version := m.Params().Get("_meta", jsonrpc.MetaProtocolVersion); version.Exists() {
		return p.callModern(ctx, r, m, version.String())
	}
	r.initializes = m.Method() == spec.Initialize
	answer, err := p.transport.call(ctx, r)
	if err == nil && r.initializes && !answer.IsError() {
		err = p.agree(&Server{Kind: StreamableHTTP, Version: answer.Result().Get("protocolVersion").String(), Result: answer}, p)
	}
	return answer, err
}

// callModern makes a call without a session. Which parameters a tool wants in
// headers is in its definition, which the client may have read long ago, or never:
// where the gateway finds that they are missing, it is asked for the definition.
func (p *passing) callModern(ctx context.Context, r request, m *jsonrpc.Message, version string) (*jsonrpc.Message, error) {
	post := func(r request, m *jsonrpc.Message) (*jsonrpc.Message, error) {
		r.repeats = p.tools.header(m, version)
		return p.transport.call(ctx, r)
	}
	answer, err := post(r, m)
	switch {
	case err != nil:
	case m.Method() == spec.ToolsList:
		p.tools.admit(answer, nil)
	case m.Method() == spec.ToolsCall && answer.ErrorCode() == jsonrpc.CodeHeaderMismatch:
		newID := func() jsonrpc.ID { return jsonrpc.StringID(rand.Text()) }
		list := func(list *jsonrpc.Message) (*jsonrpc.Message, error) {
			return post(request{body: list.Raw(), id: list.ID(), on: func(*jsonrpc.Message) {}}, list)
		}
		if p.tools.search(m.Params().Get("name").String(), newID, m.Params().Get("_meta").Raw(), list, nil) == nil {
			return post(r, m)
		} // else the gateway's own word is the better one
	}
	return answer, err
}
