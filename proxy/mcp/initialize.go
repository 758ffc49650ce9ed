package mcp

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

// instructionsLimit bounds what each cluster of a federation may tell the
// model at the beginning.
const instructionsLimit = 4 << 10

// clientInit is what a session begins with.
type clientInit struct {
	params  []byte // for the servers
	version string
}

// parseInit reads the params of initialize. The servers get them as they are,
// but for a revision that we do not speak.
func parseInit(m *jsonrpc.Message) (clientInit, error) {
	params := m.Params()
	asked := params.Get("protocolVersion")
	if params.Kind() != jsonrpc.Object || asked.Kind() != jsonrpc.String {
		return clientInit{}, invalid("params.protocolVersion is not a string")
	}
	init := clientInit{params: params.Raw(), version: asked.String()}
	if !spoken(init.version) && init.version != oldest {
		var e jsonrpc.Edits
		e.ReplaceString(asked, newest)
		init.params, init.version = e.ApplyTo(params), newest
	}
	return init, nil
}

// initialize begins a session.
func (h *Handler) initialize(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message, a accept) {
	record := filter.RecordFrom(r.Context())
	init, err := parseInit(m)
	if err != nil {
		writeJSON(w, http.StatusOK, failed(err).body(m.ID()))
		return
	}
	principal := filter.PrincipalFrom(r.Context())
	s := h.hub.newSession(h, principal.Key(), init)
	anonymous := principal.Kind == filter.Anonymous || principal.Kind == ""
	if err := h.hub.admit(s, h.Config.Limits, anonymous); err != nil {
		s.cancel(err)
		h.overloaded(w, r, m.ID(), err)
		return
	}
	s.enter(h)
	defer s.exit()
	c := h.newCall(r, s, m, a)
	ctx, cancel := context.WithTimeoutCause(r.Context(), h.Config.Timeouts.CallIdle, errCallIdle)
	defer cancel()
	var body []byte
	if s.naming.transparent(h.Config.Clusters) {
		body, err = s.initializeOne(ctx, c)
	} else {
		body = s.initializeAll(ctx, c)
	}
	if err == nil && r.Context().Err() != nil {
		err = errGone // and would never end the session
	}
	if err == nil && !h.hub.publish(s) {
		err = errEnded
	}
	if err != nil {
		s.end("failed", errEnded)
		f := failed(err)
		record.SetFlag(f.flag)
		record.SetReason(f.Error())
		writeJSON(w, f.status, f.body(m.ID()))
		return
	}
	h.hub.opts.Trace.sessionOpened(s.route)
	w.Header().Set(sessionHeader, s.id)
	c.stream.finish(http.StatusOK, body)
	h.serve(w, r, c.stream, !a.json, nil)
}

// initializeOne passes initialize on to the only cluster, and its answer
// back: who it is, what it can do and what it has to say are the server's.
func (s *session) initializeOne(ctx context.Context, c *call) ([]byte, error) {
	ref := c.handler.Config.Clusters[0]
	c.ask(ref.Name)
	p := s.peer(ref.Name)
	l, err := p.acquire(ctx, c)
	var refused *upstream.InitializeError
	if errors.As(err, &refused) && refused.Response != nil && refused.Response.IsError() {
		answer := refused.Response.Error()
		code := refused.Response.ErrorCode()
		return nil, &failure{status: http.StatusOK, code: int(code), text: answer.Get("message").String(), data: answer.Get("data").Raw(), cause: err}
	}
	if err != nil {
		return nil, err
	}
	defer p.release(l)
	m := l.up.Result()
	s.version = l.up.Version()
	var e jsonrpc.Edits
	e.SetID(m, c.msg.ID())
	return e.Apply(m), nil
}

// federationCapabilities are declared even where no server serves them yet,
// so that a cluster that is added later can appear.
const federationCapabilities = `{"tools":{"listChanged":true},"prompts":{"listChanged":true},` +
	`"resources":{"subscribe":true,"listChanged":true},"completions":{},"logging":{}}`

// initializeAll initialises all clusters at once, and waits for none longer
// than for a list: one that is down or hung is not the others' fault.
func (s *session) initializeAll(ctx context.Context, c *call) []byte {
	refs := c.handler.Config.Clusters
	ctx, cancel := context.WithTimeoutCause(ctx, c.handler.Config.Timeouts.List, errListTime)
	defer cancel()
	results := make([]*jsonrpc.Message, len(refs))
	var mu sync.Mutex
	var missing []string
	var errs []error
	var wg sync.WaitGroup
	for i, ref := range refs {
		p := s.peer(ref.Name)
		wg.Go(func() {
			l, err := p.acquire(ctx, c)
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				missing, errs = append(missing, ref.Name), append(errs, err)
				return
			}
			results[i] = l.up.Result()
			p.release(l)
		})
	}
	wg.Wait()
	if len(missing) > 0 {
		s.hub.opts.Trace.unavailable(s.route, "initialize", missing, errors.Join(errs...))
	}
	var text strings.Builder
	for i, m := range results {
		if m == nil {
			continue
		}
		if said := m.Result().Get("instructions").String(); said != "" {
			if text.Len() > 0 {
				text.WriteString("\n\n")
			}
			text.WriteString("[" + refs[i].Name + "]\n" + clip(said, instructionsLimit))
		}
	}
	b := jsonrpc.AppendString([]byte(`{"protocolVersion":`), s.version)
	b = append(append(b, `,"capabilities":`...), federationCapabilities...)
	b = jsonrpc.AppendString(append(b, `,"serverInfo":{"name":`...), s.hub.opts.Name)
	b = append(jsonrpc.AppendString(append(b, `,"version":`...), s.hub.opts.Version), '}')
	if text.Len() > 0 {
		b = jsonrpc.AppendString(append(b, `,"instructions":`...), text.String())
	}
	return jsonrpc.NewResult(c.msg.ID(), append(b, '}'))
}

// clip cuts text to at most n bytes, between two characters.
func clip(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}
