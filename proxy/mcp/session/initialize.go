package session

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

// ClientInit is what a session begins with.
type ClientInit struct {
	params  []byte // for the servers
	version string
	level   string // of the log, that the client asks for
}

// parseInit reads the params of initialize. The servers get them as they are,
// but for a revision that we do not speak.
func parseInit(m *jsonrpc.Message) (ClientInit, error) {
	params := m.Params()
	asked := params.Get("protocolVersion")
	if params.Kind() != jsonrpc.Object || asked.Kind() != jsonrpc.String {
		return ClientInit{}, spec.InvalidParams("params.protocolVersion is not a string")
	}
	init := ClientInit{params: params.Raw(), version: asked.String()}
	if !spec.IsLegacy(init.version) && init.version != spec.Oldest {
		var e jsonrpc.Edits
		e.ReplaceString(asked, spec.NewestLegacy)
		init.params, init.version = e.ApplyTo(params), spec.NewestLegacy
	}
	return init, nil
}

// OwnInit is how the gateway initialises for a client of a revision that has not
// said who it is.
func (r *Route) OwnInit(version string) ClientInit {
	return ClientInit{params: initParams(version, []byte("{}"), r.registry.serverInfo()), version: version}
}

func initParams(version string, capabilities, clientInfo []byte) []byte {
	return jsonrpc.NewObject("protocolVersion", version, "capabilities", capabilities, "clientInfo", clientInfo)
}

// StatelessInit is what a request says of its client, whose revision has no
// sessions.
func StatelessInit(m *jsonrpc.Message) ClientInit {
	meta := m.Params().Get("_meta")
	capabilities, info := []byte("{}"), []byte(`{"name":"unknown","version":"unknown"}`)
	if v := meta.Get(jsonrpc.MetaCapabilities); v.Exists() {
		capabilities = v.Raw()
	}
	if v := meta.Get(jsonrpc.MetaClientInfo); v.Kind() == jsonrpc.Object {
		info = v.Raw()
	}
	return ClientInit{params: initParams(spec.NewestLegacy, capabilities, info), version: spec.Modern, level: meta.Get(jsonrpc.MetaLogLevel).String()}
}

// Initialize begins a session over Streamable HTTP, and has write answer the client,
// which names the session by the id from then on. The error is why there is none.
func (f Sender) Initialize(ctx context.Context, m *jsonrpc.Message, o eventstream.Options, write func(id string, r eventstream.Reader)) error {
	init, err := parseInit(m)
	if err != nil {
		return err
	}
	registry := f.Route.registry
	s := Session{registry.newSession(f.Route, f.Principal.Key(), init)}
	if err := registry.admit(s.session, f.Route); err != nil {
		return err
	}
	defer s.Exit()
	st := s.newStream(o)
	c := s.newCall(f, m, st)
	body, err := dispatcher{c}.initialize(ctx)
	if err == nil && ctx.Err() != nil {
		err = errGone // and would never end the session
	}
	if err == nil && !registry.publish(s.session) {
		err = errEnded
	}
	if err != nil {
		s.end("failed", errEnded)
		return err
	}
	c.answer(http.StatusOK, m.ID(), body)
	write(s.id, st.Reader())
	return nil
}

// A session is initialized before it has an id, but where its client does that over
// the only stream of it.
const (
	initialized int32 = iota
	uninitialized
	initializing
)

// ready reports whether initialize has been answered.
func (s *session) ready() bool { return s.handshake.Load() == initialized }

// initializeOnStream answers initialize on the only stream. Where it fails the
// stream ends after the answer: the client begins anew with another one.
func (s *session) initializeOnStream(c *call) error {
	init, err := parseInit(c.msg)
	if err != nil {
		return err
	}
	if !s.handshake.CompareAndSwap(uninitialized, initializing) {
		return &spec.Error{Code: jsonrpc.CodeInvalidRequest, Text: "the session is initialized already"}
	}
	if err := s.charge(int64(len(init.params))); err != nil {
		return err
	}
	s.init, s.version = init.params, init.version
	s.naming = federation.NewNaming(c.route.Namespace, c.route.Members)
	started := s.life.spawn(func() {
		body, err := dispatcher{c}.initialize(s.life.ctx)
		if err != nil {
			f := Note(c.Info, err)
			s.only.Finish(f.Answer.Status, f.Body(c.msg.ID()))
			return
		}
		s.handshake.Store(initialized)
		c.answer(http.StatusOK, c.msg.ID(), body)
	})
	if !started {
		return errEnded
	}
	return nil
}

// initialize returns the answer to initialize, and waits for no server longer than
// for one that is silent.
func (d dispatcher) initialize(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.route.Timeouts.CallIdle, errCallIdle)
	defer cancel()
	if d.session.naming.Transparent(d.route.Members) {
		return d.initializeOne(ctx)
	}
	return d.initializeAll(ctx), nil
}

// initializeOne passes initialize on to the only cluster, and its answer
// back: who it is, what it can do and what it has to say are the server's.
func (d dispatcher) initializeOne(ctx context.Context) ([]byte, error) {
	ref := d.route.Members[0]
	d.ask(ref.Name)
	server, err := d.reach(ctx, ref)
	var refused *upstream.InitializeError
	if errors.As(err, &refused) && refused.Response != nil && refused.Response.IsError() {
		answer := refused.Response.Error()
		code := refused.Response.ErrorCode()
		said := spec.Error{Status: http.StatusOK, Code: int(code), Text: answer.Get("message").String(), Data: answer.Get("data").Raw()}
		return nil, &Failure{Answer: said, cause: err}
	}
	if err != nil {
		return nil, err
	}
	m := server.Result
	d.session.version = m.Result().Get("protocolVersion").String()
	var e jsonrpc.Edits
	e.SetID(m, d.msg.ID())
	return e.Apply(m), nil
}

// initializeAll initialises all clusters at once. One that is down or hung is
// not the others' fault.
func (d dispatcher) initializeAll(ctx context.Context) []byte {
	found, _, _ := d.openAll(ctx, d.route.Members)
	result := jsonrpc.NewObject("protocolVersion", d.session.version, "capabilities", federation.Capabilities(found, true),
		"serverInfo", d.session.registry.serverInfo(), "instructions", federation.Instructions(found))
	return jsonrpc.NewResult(d.msg.ID(), result)
}

// serverInfo is who answers for a federation.
func (r *Registry) serverInfo() []byte {
	return jsonrpc.NewObject("name", r.opts.Name, "version", r.opts.Version)
}

// openAll opens the upstream sessions of all clusters at once, and waits for
// none longer than for a list. It returns, in the order of refs, those that
// were opened, and the names of the others with why.
func (d dispatcher) openAll(ctx context.Context, refs []federation.Member) (found []federation.Profile, missing []string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.route.Timeouts.List, errListTime)
	defer cancel()
	all, errs := make([]federation.Profile, len(refs)), make([]error, len(refs))
	var wg sync.WaitGroup
	for i, ref := range refs {
		wg.Go(func() {
			server, err := d.reach(ctx, ref)
			if errs[i] = err; err == nil {
				all[i] = federation.Profile{Member: ref, Initialized: server.Result, Discovered: server.Discover, Revisions: server.Serves()}
			}
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
		d.session.registry.opts.Trace.Unavailable(d.session.route, d.msg.Method(), missing, err)
	}
	return found, missing, err
}
