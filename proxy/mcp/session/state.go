package session

import (
	"strconv"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/seal"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// stateScope binds a state to the request that it was given for.
func stateScope(route, principal string, m *jsonrpc.Message) seal.Scope {
	name := spec.NameOf(m)
	return seal.Scope{Route: route, Principal: principal, Method: m.Method() + " " + name.String()}
}

// rounds are the tries in which a client of a revision without sessions makes one
// request (MCP 2026-07-28, Multi Round-Trip Requests): the call is one of them.
type rounds struct{ *call }

func (r rounds) sealState(state seal.State) string {
	s := r.session
	return s.registry.seal.State(stateScope(s.route, s.principal, r.msg), state, time.Now())
}

// openState reads the state that a modern request brings back, if any.
func openState(sealer *seal.Sealer, route, principal string, m *jsonrpc.Message) (seal.State, bool, error) {
	v := m.Params().Get("requestState")
	if !spec.Request(m.Method()).MayRequireInput || !v.Exists() {
		return seal.State{}, false, nil
	}
	state, err := sealer.OpenState(stateScope(route, principal, m), v.String(), time.Now())
	if err != nil {
		return seal.State{}, false, spec.InvalidParams(err.Error())
	}
	return state, true, nil
}

// restore returns what gives the server back its own of the state.
func (r rounds) restore(ref federation.Member) (func(*jsonrpc.Edits), error) {
	s := r.session
	if !s.modern {
		return func(*jsonrpc.Edits) {}, nil
	}
	state, ok, err := openState(s.registry.seal, s.route, s.principal, r.msg)
	if err != nil {
		return nil, err
	}
	if ok && (state.Cluster != ref.Name || state.Held != "") {
		return nil, spec.InvalidParams(seal.ErrState.Error())
	}
	return func(e *jsonrpc.Edits) {
		params := r.msg.Params()
		switch {
		case !ok:
		case state.Inner != nil:
			e.SetString(params, "requestState", *state.Inner)
		default:
			e.Delete(params, "requestState")
		}
		if ok && state.Anew {
			e.Delete(params, "inputResponses")
		}
	}, nil
}

// required notes what changes in a server's result that asks for input.
func (r rounds) required(e *jsonrpc.Edits, ref federation.Member, res jsonrpc.Value) {
	names := r.session.of(ref)
	for _, ask := range res.Get("inputRequests").Each {
		names.Request(e, ask.Get("method").String(), ask.Get("params"))
	}
	state := seal.State{Cluster: ref.Name}
	if inner := res.Get("requestState"); inner.Kind() == jsonrpc.String {
		text := inner.String()
		state.Inner = &text
	}
	e.SetString(res, "requestState", r.sealState(state))
}

// elicitations makes of the error with which a server with sessions wants the
// user to visit a page first (MCP 2025-11-25, Elicitation) a result that asks
// for the same, for a client whose revision does not have the error. It returns nil
// when it is another one, or the client cannot show pages.
func (r rounds) elicitations(ref federation.Member, m *jsonrpc.Message) []byte {
	meta := r.msg.Params().Get("_meta")
	pages := m.Error().Get("data", "elicitations")
	if m.ErrorCode() != jsonrpc.CodeURLElicitationRequired || pages.Len() == 0 || !spec.Request(r.msg.Method()).MayRequireInput ||
		!meta.Get(jsonrpc.MetaCapabilities, "elicitation", "url").Exists() {
		return nil
	}
	names := r.session.of(ref)
	var asked []any
	for _, page := range pages.Each {
		var e jsonrpc.Edits
		names.Request(&e, spec.ElicitationCreate, page)
		e.SetString(page, "mode", "url")
		asked = append(asked, strconv.Itoa(len(asked)/2), inputRequest(spec.ElicitationCreate, e.ApplyTo(page)))
	}
	return r.inputRequired(asked, seal.State{Cluster: ref.Name, Anew: true})
}

// inputRequired is the result that asks for input: asked are keys, each with what
// inputRequest returns.
func (r rounds) inputRequired(asked []any, state seal.State) []byte {
	return jsonrpc.NewObject("resultType", "input_required", "inputRequests", jsonrpc.NewObject(asked...), "requestState", r.sealState(state))
}

// inputRequest is one thing that a server wants to know. params is nil for none.
func inputRequest(method string, params []byte) []byte {
	return jsonrpc.NewObject("method", method, "params", params)
}
