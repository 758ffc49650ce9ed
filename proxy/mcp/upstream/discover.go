package upstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

const (
	// discoverTime is how long a server that may have sessions is waited for: some
	// do not answer what they do not know.
	discoverTime = 3 * time.Second
	// lateTime is how long the answer to server/discover may come after the one
	// to a ping that was sent later.
	lateTime = time.Second
)

// maxDiscover is the longest answer to server/discover that is taken, in bytes:
// that of each endpoint is remembered.
const maxDiscover = 1 << 20

// errNoAnswer: the server does not answer server/discover.
var errNoAnswer = errors.New("no answer")

// errNotListed: the server does not list the revision without sessions.
var errNotListed = errors.New("the server does not list " + spec.Modern)

// discoverFirst asks a server of which nothing is known who it is. One that does
// not answer leaves enough time to initialise.
func (r *requester) discoverFirst(ctx context.Context, forced bool) (*jsonrpc.Message, error) {
	switch {
	case forced:
		return r.discover(ctx, true) // there is nothing to save time for
	case transports[r.transport.kind()].process:
		return r.discoverStarting(ctx)
	}
	within := discoverTime
	if deadline, ok := ctx.Deadline(); ok {
		within = min(within, time.Until(deadline)/2)
	}
	short, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	m, err := r.discover(short, false)
	if err != nil && short.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w within %v", errNoAnswer, within.Round(time.Millisecond))
	}
	return m, err
}

// discoverStarting asks a process that may be starting. When it answers a ping,
// which servers of both eras do at any time, but not the question that came
// before, it has started and does not know the question.
func (r *requester) discoverStarting(ctx context.Context) (*jsonrpc.Message, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	pinged := make(chan struct{})
	defer func() { cancel(nil); <-pinged }()
	id := r.ids.next()
	go func() {
		defer close(pinged)
		if !sleep(ctx, discoverTime, nil) {
			return
		}
		_, err := r.transport.call(ctx, request{body: jsonrpc.NewRequest(id, spec.Ping, nil), id: id})
		if err == nil && sleep(ctx, lateTime, nil) {
			cancel(errNoAnswer)
		}
	}()
	m, err := r.discover(ctx, false)
	if err != nil && errors.Is(context.Cause(ctx), errNoAnswer) {
		err = fmt.Errorf("%w, though it answered a ping", errNoAnswer)
	}
	return m, err
}

// discover asks the server who it is. An answer that does not list the revision
// without sessions is an error, unless that revision is forced.
func (r *requester) discover(ctx context.Context, forced bool) (*jsonrpc.Message, error) {
	req, err := jsonrpc.Parse(jsonrpc.NewRequest(r.ids.next(), spec.ServerDiscover, nil))
	if err != nil {
		return nil, err
	}
	m, err := r.post(ctx, req, nil, nil)
	if err == nil && slices.Contains(listed(m.Error().Get("data", "supported")), spec.Modern) {
		m, err = r.post(ctx, req, nil, nil) // it says that it would take what it refused
	}
	if err != nil {
		return nil, err
	}
	supported := listed(m.Result().Get("supportedVersions"))
	switch {
	case m.IsError():
		err := fmt.Errorf("%w: it answered with error %d: %s", errNotListed, m.ErrorCode(), snippet([]byte(m.ErrorMessage())))
		return nil, notListed(err, listed(m.Error().Get("data", "supported")))
	case len(m.Raw()) > maxDiscover:
		return nil, fmt.Errorf("%w in at most %d bytes", errNotListed, maxDiscover)
	case !forced && !slices.Contains(supported, spec.Modern):
		return nil, notListed(errNotListed, supported)
	}
	return m, nil
}
