package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// stateless is what a session with a server without sessions holds in its
// place.
type stateless struct {
	discover *jsonrpc.Message
	client   jsonrpc.Value // the params of initialize
	// learn and known are what is shared between the sessions of an endpoint.
	learn func(func(*spoken))
	known func() spoken
	watch watch
	asked asked
}

// Modern reports whether the server speaks a revision without sessions.
func (s *Session) Modern() bool { return s.stateless != nil }

// Discover returns the server's answer to server/discover, nil where it has
// sessions.
func (s *Session) Discover() *jsonrpc.Message {
	if s.stateless == nil {
		return nil
	}
	return s.stateless.discover
}

// callModern makes a call to a server without sessions. For a client that does
// not know such servers it plays the session.
func (s *Session) callModern(ctx context.Context, req []byte, id jsonrpc.ID, on func(*jsonrpc.Message)) (*jsonrpc.Message, error) {
	m, err := jsonrpc.Parse(req)
	if err != nil {
		return nil, &unsentError{err}
	}
	if !s.opts.Modern {
		if answer, ok, err := s.emulated(ctx, m); ok {
			return answer, err
		}
	}
	for round := 0; ; round++ {
		res, err := s.exchange(ctx, m, on)
		if err != nil || s.opts.Modern || res.IsError() || res.Result().Get("resultType").String() != "input_required" {
			return answerTo(id, res), err
		}
		if round == maxRounds {
			return nil, fmt.Errorf("%w: the server asked for input %d times", ErrProtocol, round+1)
		}
		if m, err = s.fulfil(ctx, m, res.Result(), on); err != nil {
			var refused *refusedError
			if errors.As(err, &refused) {
				return answerTo(id, refused.response), nil
			}
			return nil, err
		}
	}
}

// answerTo gives an answer the id of the call that it ends: of one that took
// several requests each had its own, and some servers write 5 as "5" or 5.0.
func answerTo(id jsonrpc.ID, m *jsonrpc.Message) *jsonrpc.Message {
	if m == nil || string(m.RawID()) == id.Raw() {
		return m
	}
	var e jsonrpc.Edits
	e.SetID(m, id)
	answer, err := jsonrpc.Parse(e.Apply(m))
	if err != nil { // it was parsed before
		return m
	}
	return answer
}

// exchange sends one request and returns its answer. Where the server finds
// that its parameters are not repeated in headers as they should be, its tools
// are asked for anew, once.
func (s *Session) exchange(ctx context.Context, m *jsonrpc.Message, on func(*jsonrpc.Message)) (*jsonrpc.Message, error) {
	params, err := s.headerParams(ctx, m, false)
	if err != nil {
		return nil, err
	}
	if refusal := s.disagreement(ctx, m, params); refusal != nil {
		return refusal, nil
	}
	res, err := s.post(ctx, m, params, on)
	if err == nil && res.ErrorCode() == jsonrpc.CodeHeaderMismatch && m.Method() == spec.ToolsCall && s.kind == StreamableHTTP {
		if params, err = s.headerParams(ctx, m, true); err != nil {
			return nil, err
		}
		if refusal := s.disagreement(ctx, m, params); refusal != nil {
			return refusal, nil
		}
		res, err = s.post(ctx, m, params, on)
	}
	switch {
	case err != nil:
		return nil, err
	case res.ErrorCode() == jsonrpc.CodeUnsupportedVersion:
		// It was another server's answer that said otherwise.
		s.stateless.learn(func(k *spoken) { k.discover, k.modern = nil, false })
		s.end(lost(errors.New("the server does not speak " + spec.Modern + " any more")))
	case m.Method() == spec.ToolsList:
		return s.admit(res), nil
	}
	return res, nil
}

// post sends one request as it is, but for what belongs to the hop.
func (s *Session) post(ctx context.Context, m *jsonrpc.Message, params []headerParam, on func(*jsonrpc.Message)) (*jsonrpc.Message, error) {
	if s.kind == Stdio {
		ctx = s.withRouting(ctx, m)
	} else {
		ctx = context.WithValue(ctx, requestHeadersKey{}, requestHeaders(m, params))
	}
	return s.transport.call(ctx, s.addRequestMetadata(m), m.ID(), on)
}

type requestHeadersKey struct{}

// addRequestMetadata writes into a request what the hop is: the client's own words about
// itself stay where it has said them.
func (s *Session) addRequestMetadata(m *jsonrpc.Message) []byte {
	var e jsonrpc.Edits
	meta := m.Params().Get("_meta")
	e.SetMeta(m, jsonrpc.MetaProtocolVersion, jsonrpc.AppendString(nil, spec.Modern))
	if !meta.Get(jsonrpc.MetaCapabilities).Exists() {
		caps := s.stateless.client.Get("capabilities").Raw()
		if caps == nil {
			caps = []byte("{}")
		}
		e.SetMeta(m, jsonrpc.MetaCapabilities, caps)
		if who := s.stateless.client.Get("clientInfo"); who.Exists() {
			e.SetMeta(m, jsonrpc.MetaClientInfo, who.Raw())
		}
		if level := s.stateless.asked.logLevel(); level != "" {
			e.SetMeta(m, jsonrpc.MetaLogLevel, jsonrpc.AppendString(nil, level))
		}
	}
	return e.Apply(m)
}

// disagreement refuses a modern client's call whose headers do not say what
// its body says, as the server would if it saw them: towards the server they
// are written anew.
func (s *Session) disagreement(ctx context.Context, m *jsonrpc.Message, params []headerParam) *jsonrpc.Message {
	header, _ := ctx.Value(headerKey{}).(http.Header)
	if !s.opts.Modern || header == nil {
		return nil
	}
	for _, p := range params {
		if !p.agrees(header, m.Params()) {
			text := "header mismatch: " + p.header + " does not say what " + strings.Join(p.path, ".") + " says in the body"
			refusal, _ := jsonrpc.Parse(jsonrpc.NewError(m.ID(), jsonrpc.CodeHeaderMismatch, text, nil)) // it is ours
			return refusal
		}
	}
	return nil
}

// headerParams returns the parameters that the called tool wants in headers. What
// is not known is asked for; anew says that it is asked for in any case.
func (s *Session) headerParams(ctx context.Context, m *jsonrpc.Message, anew bool) ([]headerParam, error) {
	if m.Method() != spec.ToolsCall || s.kind != StreamableHTTP {
		return nil, nil
	}
	tool := m.Params().Get("name").String()
	known := s.stateless.known()
	params, ok := known.headerParams[tool]
	_, isUnlisted := known.unlisted[tool]
	if (ok || isUnlisted || len(tool) > maxToolName) && !anew {
		return params, nil
	}
	var cursor []byte
	for page := 0; page < maxPages; page++ {
		list, err := jsonrpc.Parse(jsonrpc.NewRequest(s.NextID(), spec.ToolsList, cursor))
		if err != nil {
			return nil, err
		}
		res, err := s.post(ctx, list, nil, func(*jsonrpc.Message) {})
		if err != nil {
			return nil, fmt.Errorf("ask for the tools: %w", err)
		}
		s.admit(res)
		next := res.Result().Get("nextCursor")
		if params, ok = s.stateless.known().headerParams[tool]; ok || next.Kind() != jsonrpc.String {
			break
		}
		cursor = append(append([]byte(`{"cursor":`), next.Raw()...), '}')
	}
	if !ok && len(tool) <= maxToolName {
		s.stateless.learn(func(k *spoken) { k.unlisted = k.unlisted.with(tool) })
	}
	return params, nil
}

// maxPages bounds the search for one tool.
const maxPages = 100

// admit learns from a list of tools, and takes out those whose definitions are
// invalid (MCP 2026-07-28, Streamable HTTP, Schema Extension).
func (s *Session) admit(res *jsonrpc.Message) *jsonrpc.Message {
	if s.kind != StreamableHTTP || res.IsError() {
		return res
	}
	found := headerParams{}
	tools := res.Result().Get("tools")
	kept := []byte{'['}
	for _, tool := range tools.Each {
		name := tool.Get("name").String()
		params, err := readHeaderParams(tool)
		if err != nil {
			s.ignore(fmt.Errorf("the tool %q is left out: %w", name, err))
			continue
		}
		found[name] = params
		if len(kept) > 1 {
			kept = append(kept, ',')
		}
		kept = append(kept, tool.Raw()...)
	}
	before := s.stateless.known().headerParams
	if !before.hold(found) {
		s.stateless.learn(func(k *spoken) { k.headerParams = k.headerParams.with(found) })
	}
	if len(found) == tools.Len() {
		return res
	}
	var e jsonrpc.Edits
	e.Replace(tools, append(kept, ']'))
	admitted, err := jsonrpc.Parse(e.Apply(res))
	if err != nil { // it is made of what was parsed
		return res
	}
	return admitted
}

// shared returns how a session learns what its endpoint speaks, and remembers
// it alone where no session shares it.
func (o *opening) shared(c *clusters.Cluster, e *clusters.Endpoint) (learn func(func(*spoken)), known func() spoken) {
	t := o.opts.Transports
	if t == nil {
		t = new(Transports)
	}
	return func(change func(*spoken)) { t.learn(c, e, change) }, func() spoken { return t.get(c, e) }
}
