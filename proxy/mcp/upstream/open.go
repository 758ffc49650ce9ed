package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// opening is one Open.
type opening struct {
	client   *Client
	cluster  *clusters.Cluster
	endpoint *clusters.Endpoint
	known    knowledge // of the endpoint
	opts     Options
	check    *check // nil: the session is for a client
	init     []byte // the params of initialize
	forced   string // the revision that the configuration forces

	// What follows is about one process of a command.

	// trial: it is asked server/discover, and may exit of it. fallback: it is not
	// asked, since another one gave no good answer. ifFree: no process is stopped
	// for it, and it waits for none to end, where as many run as may.
	trial, fallback, ifFree bool
	cancel                  context.CancelCauseFunc // ends the opening
}

// Open begins a session with an endpoint of a cluster: it chooses the transport by
// the cluster's configuration, initialises, and declares itself initialised.
// It is bounded by ctx, which the session outlives. An answer that begins no
// session is an *InitializeError.
func (c *Client) Open(ctx context.Context, cluster *clusters.Cluster, e *clusters.Endpoint, opts Options) (*Session, error) {
	return c.open(ctx, cluster, e, opts, nil)
}

// open is Open, also for a health check.
func (c *Client) open(ctx context.Context, cluster *clusters.Cluster, e *clusters.Endpoint, opts Options, check *check) (*Session, error) {
	o := &opening{client: c, cluster: cluster, endpoint: e, known: c.of(cluster, e), opts: opts, check: check, init: opts.Init, ifFree: check != nil}
	if err := o.force(cluster.Config().MCP.Protocol); err != nil {
		return nil, &unsentError{err}
	}
	s, err := o.open(ctx)
	if err != nil {
		return nil, because(ctx, err)
	}
	o.describe(s)
	if opts.OnClose != nil {
		context.AfterFunc(s.life.ctx, func() { opts.OnClose(s.Err()) })
	}
	return s, nil
}

// force puts a configured revision into the params.
func (o *opening) force(version string) error {
	params, err := jsonrpc.ParseValue(o.init)
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
	o.forced, o.init = version, edits.ApplyTo(params)
	return nil
}

// open chooses the transport.
func (o *opening) open(ctx context.Context) (*Session, error) {
	if o.cluster.IsCommand() {
		return o.launch(ctx)
	}
	if kind := forcedKind(o.cluster); kind != 0 {
		return o.begin(ctx, kind)
	}
	learn := func(kind Kind) { o.known.learn(func(k *spoken) { k.kind = kind }) }
	if o.known.get().kind == SSE {
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
	if errSSE != nil && (errors.Is(errSSE, ErrSessionLost) || !tellsTransport(errSSE)) {
		return nil, errSSE // a server of HTTP+SSE that goes down now, or is slow
	}
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
	codes := []int{http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed}
	status, ok := errors.AsType[*StatusError](err)
	return ok && status.Response == nil && slices.Contains(codes, status.Code) || errors.Is(err, errEndpointEvent)
}

// tellsTransport reports whether an error may come from speaking the wrong
// transport. A server that is down, refuses us or is slow proves nothing; a stream
// that ended may be that of a server that goes down, and of one that sends nothing
// on it.
func tellsTransport(err error) bool {
	if status, ok := errors.AsType[*StatusError](err); ok {
		return status.Code < http.StatusInternalServerError && !errors.Is(err, ErrUnauthorized)
	}
	return errors.Is(err, errNotSSE) || errors.Is(err, ErrSessionLost)
}

// begin opens a session over one transport.
func (o *opening) begin(ctx context.Context, kind Kind) (*Session, error) {
	s := o.newSession()
	if err := transports[kind].connect(o, ctx, s); err != nil {
		s.life.end(err)
		s.life.endCalls(err)
		s.place.leave()
		return nil, err
	}
	if err := o.negotiate(ctx, s); err != nil {
		s.Close(ctx)
		return nil, err
	}
	if s.process != nil {
		s.process.SetTrial(false)
		s.process.Serving()
	}
	return s, nil
}

// newSession returns a session with the endpoint that has no transport yet.
func (o *opening) newSession() *Session {
	s := newSession(o.opts, o.client.Memory)
	release := func() {}
	if !o.cluster.IsCommand() {
		release = o.endpoint.Hold()
	}
	s.place = &place{bound: &binding{o.endpoint, o.known, release}}
	return s
}
