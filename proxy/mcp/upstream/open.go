package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/clusters/process"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// Init is what a session begins with.
type Init struct {
	// Params is the JSON of the initialize request's params: protocolVersion,
	// capabilities and clientInfo. The cluster's mcp.protocol, when it forces
	// a revision, takes the place of protocolVersion.
	Params []byte
}

// opening is one Open.
type opening struct {
	cluster  *clusters.Cluster
	endpoint *clusters.Endpoint
	params   []byte
	forced   string // the revision that the configuration forces
	// trial: a process is asked server/discover, and may exit of it. fallback:
	// it is not asked, since another one gave no good answer.
	trial, fallback bool
	started         func(*process.Process) // is told of the process of a command
	opts            Options
}

// Open begins a session with an endpoint of c: it chooses the transport by
// the cluster's configuration, initialises, and declares itself initialised.
// It is bounded by ctx, which the session outlives. An answer that begins no
// session is an *InitializeError.
func Open(ctx context.Context, c *clusters.Cluster, e *clusters.Endpoint, init Init, opts Options) (*Session, error) {
	o := &opening{cluster: c, endpoint: e, params: init.Params, opts: opts}
	if err := o.force(c.Config().MCP.Protocol); err != nil {
		return nil, &unsentError{err}
	}
	s, err := o.open(ctx)
	if err != nil {
		return nil, because(ctx, err)
	}
	o.describe(s)
	if s.opts.OnClose != nil {
		context.AfterFunc(s.life, func() { s.opts.OnClose(s.Err()) })
	}
	return s, nil
}

// force puts a configured revision into the params.
func (o *opening) force(version string) error {
	params, err := jsonrpc.ParseValue(o.params)
	if err != nil || params.Kind() != jsonrpc.Object {
		return errors.New("the params of initialize are no JSON object")
	}
	if version == "" || version == "auto" {
		return nil
	}
	if version == spec.Modern {
		o.forced = version
		return nil
	}
	if !slices.Contains(spec.Initialized(), version) {
		return fmt.Errorf("mcp.protocol %s is not supported by this version", version)
	}
	var edits jsonrpc.Edits
	edits.SetString(params, "protocolVersion", version)
	o.forced, o.params = version, edits.ApplyTo(params)
	return nil
}

// open chooses the transport.
func (o *opening) open(ctx context.Context) (*Session, error) {
	if o.cluster.IsCommand() {
		return o.launch(ctx)
	}
	switch o.cluster.Config().MCP.Transport {
	case "streamable_http":
		return o.begin(ctx, StreamableHTTP)
	case "sse":
		return o.begin(ctx, SSE)
	}
	known := o.opts.Transports
	learn := func(kind Kind) { known.learn(o.cluster, o.endpoint, func(k *spoken) { k.kind = kind }) }
	if known.get(o.cluster, o.endpoint).kind == SSE {
		s, err := o.begin(ctx, SSE)
		if err == nil || !tellsTransport(err) {
			return s, err
		}
		learn(0)
	}
	s, err := o.begin(ctx, StreamableHTTP)
	if err == nil {
		learn(StreamableHTTP)
		return s, nil
	}
	if !isOldTransport(err) {
		return nil, err
	}
	s, errSSE := o.begin(ctx, SSE)
	if errSSE != nil {
		return nil, fmt.Errorf("the server speaks neither Streamable HTTP (%w) nor HTTP+SSE (%w)", err, errSSE)
	}
	learn(SSE)
	return s, nil
}

// isOldTransport reports whether a failed initialize by POST is that of a
// server that may speak HTTP+SSE (MCP 2025-11-25, Transports, Backwards
// Compatibility). An error response in the body comes from a server that
// understood.
func isOldTransport(err error) bool {
	if errors.Is(err, errEndpointEvent) {
		return true
	}
	var status *StatusError
	if !errors.As(err, &status) || status.Response != nil {
		return false
	}
	switch status.Code {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed:
		return true
	}
	return false
}

// tellsTransport reports whether an error may come from speaking the wrong
// transport. A server that is down, refuses us or is slow proves nothing.
func tellsTransport(err error) bool {
	var status *StatusError
	if errors.As(err, &status) {
		return status.Code < http.StatusInternalServerError && !errors.Is(err, ErrUnauthorized)
	}
	return errors.Is(err, errNotSSE)
}

// begin opens a session over one transport.
func (o *opening) begin(ctx context.Context, kind Kind) (*Session, error) {
	s := newSession(o.opts, kind)
	s.forced, s.cluster = o.forced, o.cluster
	var err error
	switch kind {
	case StreamableHTTP:
		s.transport = newStreamable(s, o.endpoint)
	case SSE:
		err = openEvents(ctx, s, o.endpoint)
	case Stdio:
		err = openStdio(ctx, s, o.endpoint, o.started)
	}
	if err != nil {
		s.end(err)
		s.endCalls(err)
		return nil, err
	}
	if err := o.negotiate(ctx, s); err != nil {
		s.Close(ctx)
		return nil, err
	}
	if t, ok := s.transport.(*stdio); ok {
		t.process.SetTrial(false)
		t.process.Serving()
	}
	return s, nil
}

func (o *opening) initialize(ctx context.Context, s *Session) error {
	id := s.NextID()
	s.initializing = true
	m, err := s.transport.call(ctx, jsonrpc.NewRequest(id, spec.Initialize, o.params), id, nil)
	s.initializing = false
	if err != nil {
		return fmt.Errorf("initialize: %w", err)
	}
	if m.IsError() {
		return &InitializeError{m, fmt.Sprintf("the server answered with error %d: %s", m.ErrorCode(), snippet([]byte(m.ErrorMessage())))}
	}
	version := m.Result().Get("protocolVersion").String()
	if !slices.Contains(spec.Initialized(), version) {
		if o.forced == "" {
			return &InitializeError{m, fmt.Sprintf("the server answered with the protocol version %q, which is not one of %q", snippet([]byte(version)), spec.Initialized())}
		}
		version = o.forced // it is forced since the server misreports itself
	}
	if err := s.keep(m); err != nil {
		return fmt.Errorf("initialize: %w", err)
	}
	s.version.Store(&version)
	if err := s.Send(ctx, jsonrpc.NewNotification(spec.NotificationInitialized, nil)); err != nil {
		return fmt.Errorf("notifications/initialized: %w", err)
	}
	return nil
}
