package mcp

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/downstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

// clientInit is what a session begins with.
type clientInit struct {
	params  []byte // for the servers
	version string
	level   string // of the log, that the client asks for
}

// parseInit reads the params of initialize. The servers get them as they are,
// but for a revision that we do not speak.
func parseInit(m *jsonrpc.Message) (clientInit, error) {
	params := m.Params()
	asked := params.Get("protocolVersion")
	if params.Kind() != jsonrpc.Object || asked.Kind() != jsonrpc.String {
		return clientInit{}, spec.InvalidParams("params.protocolVersion is not a string")
	}
	init := clientInit{params: params.Raw(), version: asked.String()}
	if !spec.IsLegacy(init.version) && init.version != spec.Oldest {
		var e jsonrpc.Edits
		e.ReplaceString(asked, spec.NewestLegacy)
		init.params, init.version = e.ApplyTo(params), spec.NewestLegacy
	}
	return init, nil
}

// initialize begins a session.
func (h *Handler) initialize(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message, a downstream.Accept) {
	info := filter.RequestInfoFrom(r.Context())
	init, err := parseInit(m)
	if err != nil {
		downstream.WriteJSON(w, http.StatusOK, failed(err).body(m.ID()))
		return
	}
	principal := filter.PrincipalFrom(r.Context())
	s := h.hub.newSession(h.route, principal.Key(), init)
	if err := h.hub.admit(s, h.route.Limits); err != nil {
		s.life.cancel(err)
		h.overloaded(w, r, m.ID(), err)
		return
	}
	s.life.enter(h.route)
	defer s.life.exit()
	c := h.newCall(r, s, m)
	c.answerOn(s.newStream(h.answerTo(s, a)))
	ctx, cancel := context.WithTimeoutCause(r.Context(), h.route.Timeouts.CallIdle, errCallIdle)
	defer cancel()
	body, err := dispatcher{s, c}.initialize(ctx)
	if err == nil && r.Context().Err() != nil {
		err = errGone // and would never end the session
	}
	if err == nil && !h.hub.publish(s) {
		err = errEnded
	}
	if err != nil {
		s.end("failed", errEnded)
		f := failed(err)
		info.SetFlag(f.flag)
		info.SetReason(f.Error())
		downstream.WriteJSON(w, f.answer.Status, f.body(m.ID()))
		return
	}
	h.hub.opts.Trace.sessionOpened(s.route)
	w.Header().Set(spec.HeaderSession, s.id)
	c.answer(http.StatusOK, m.ID(), body)
	h.serve(w, r, c.stream.Reader(), !a.JSON, nil)
}

// initialize returns the answer to initialize.
func (d dispatcher) initialize(ctx context.Context) ([]byte, error) {
	if d.s.naming.Transparent(d.c.route.Members) {
		return d.initializeOne(ctx)
	}
	return d.initializeAll(ctx), nil
}

// initializeOne passes initialize on to the only cluster, and its answer
// back: who it is, what it can do and what it has to say are the server's.
func (d dispatcher) initializeOne(ctx context.Context) ([]byte, error) {
	ref := d.c.route.Members[0]
	d.c.ask(ref.Name)
	at := d.s.servers.at(ref.Name)
	if at == nil {
		return nil, errEnded
	}
	var m *jsonrpc.Message
	err := at.Use(ctx, &d.c.Call, func(up *upstream.Session) error {
		m = up.Server().Result
		return nil
	})
	var refused *upstream.InitializeError
	if errors.As(err, &refused) && refused.Response != nil && refused.Response.IsError() {
		answer := refused.Response.Error()
		code := refused.Response.ErrorCode()
		said := spec.Error{Status: http.StatusOK, Code: int(code), Text: answer.Get("message").String(), Data: answer.Get("data").Raw()}
		return nil, &failure{answer: said, cause: err}
	}
	if err != nil {
		return nil, err
	}
	d.s.version = m.Result().Get("protocolVersion").String()
	var e jsonrpc.Edits
	e.SetID(m, d.c.msg.ID())
	return e.Apply(m), nil
}

// initializeAll initialises all clusters at once. One that is down or hung is
// not the others' fault.
func (d dispatcher) initializeAll(ctx context.Context) []byte {
	found, _, _ := d.openAll(ctx, d.c.route.Members)
	b := jsonrpc.AppendString([]byte(`{"protocolVersion":`), d.s.version)
	b = append(append(b, `,"capabilities":`...), federation.SessionCapabilities(found)...)
	b = append(append(b, `,"serverInfo":`...), d.s.hub.serverInfo()...)
	if text := federation.Instructions(found); text != "" {
		b = jsonrpc.AppendString(append(b, `,"instructions":`...), text)
	}
	return jsonrpc.NewResult(d.c.msg.ID(), append(b, '}'))
}

// serverInfo is who answers for a federation.
func (h *Hub) serverInfo() []byte {
	b := jsonrpc.AppendString([]byte(`{"name":`), h.opts.Name)
	return append(jsonrpc.AppendString(append(b, `,"version":`...), h.opts.Version), '}')
}

// openAll opens the upstream sessions of all clusters at once, and waits for
// none longer than for a list. It returns, in the order of refs, those that
// were opened, and the names of the others with why.
func (d dispatcher) openAll(ctx context.Context, refs []federation.Member) (found []federation.Profile, missing []string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.c.route.Timeouts.List, errListTime)
	defer cancel()
	all, errs := make([]federation.Profile, len(refs)), make([]error, len(refs))
	var wg sync.WaitGroup
	for i, ref := range refs {
		at := d.s.servers.at(ref.Name)
		if at == nil {
			errs[i] = errEnded
			continue
		}
		wg.Go(func() {
			errs[i] = at.Use(ctx, &d.c.Call, func(up *upstream.Session) error {
				server := up.Server()
				all[i] = federation.Profile{Member: ref, Initialized: server.Result, Discovered: server.Discover, Revisions: server.Serves()}
				return nil
			})
		})
	}
	wg.Wait()
	for i, ref := range refs {
		if errs[i] != nil {
			missing = append(missing, ref.Name)
		} else {
			found = append(found, all[i])
		}
	}
	err = errors.Join(errs...)
	if len(missing) > 0 {
		d.s.hub.opts.Trace.unavailable(d.s.route, d.c.msg.Method(), missing, err)
	}
	return found, missing, err
}
