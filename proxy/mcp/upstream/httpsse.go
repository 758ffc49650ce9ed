package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/sse"
)

// errNotSSE: the server does not answer as one of HTTP+SSE does.
var errNotSSE = fmt.Errorf("%w: no HTTP+SSE server", ErrProtocol)

// errEndpointEvent: a POST was answered with the stream of HTTP+SSE.
var errEndpointEvent = errors.New("the answer is an HTTP+SSE stream")

// httpSSE is the transport of 2024-11-05: one stream brings all that the server
// says, and names the URL to POST to.
type httpSSE struct {
	duplex
	http *httpClient
	host Host
	post *url.URL
	body io.Closer
}

func (o *opening) connectSSE(ctx context.Context, s *Session) error {
	s.http = &httpClient{limits: s.limits, header: o.opts.Header}
	t := &httpSSE{duplex: duplex{life: s.life, in: s.in}, http: s.http, host: s.place.host()}
	s.use(t)
	return t.open(ctx)
}

// open opens the stream and waits for its first event, endpoint.
func (t *httpSSE) open(ctx context.Context) error {
	l := newLease(ctx, t.life.ctx)
	r, err := t.connect(l)
	if err != nil {
		l.end()
		return err
	}
	l.handOn(0) // the stream outlives ctx, which bounds its beginning only
	t.life.spawn(func() {
		defer l.end()
		defer t.body.Close()
		t.read(r)
	})
	return nil
}

func (t *httpSSE) connect(l *lease) (*sse.Reader, error) {
	res, err := t.exchange(l.ctx, http.MethodGet, t.host.Target(), nil)
	if err != nil {
		return nil, err
	}
	if kind := mediaType(res); kind != typeEvents {
		res.Body.Close()
		return nil, fmt.Errorf("%w: GET is answered with content type %q", errNotSSE, snippet([]byte(kind)))
	}
	r := t.in.limits.events(res.Body)
	if t.post, err = awaitEndpoint(r, res.Request.URL); err != nil {
		r.Close()
		res.Body.Close()
		return nil, err
	}
	t.body = res.Body
	return r, nil
}

// exchange sends one request. An answer whose status is no success is an error.
func (t *httpSSE) exchange(ctx context.Context, method string, u *url.URL, body []byte) (*http.Response, error) {
	req, err := t.http.request(ctx, method, u, body, nil)
	if err != nil {
		return nil, err
	}
	res, err := t.http.roundTrip(t.host, req)
	if err != nil || success(res) {
		return res, err
	}
	defer res.Body.Close()
	_, err = t.http.refused(res, jsonrpc.ID{}, method == http.MethodPost)
	return nil, err
}

// awaitEndpoint reads the first event, which names the URL to POST to.
func awaitEndpoint(r *sse.Reader, base *url.URL) (*url.URL, error) {
	for {
		event, err := r.Next()
		if err != nil {
			// So does that of a server that goes down: nothing was acted on yet.
			return nil, fmt.Errorf("%w: the stream ended before its endpoint event: %w", ErrSessionLost, err)
		}
		if event.Name == "endpoint" {
			return resolve(base, string(event.Data))
		}
		if len(event.Data) > 0 {
			return nil, fmt.Errorf("%w: the first event is %q, not endpoint", errNotSSE, snippet([]byte(event.Name)))
		}
	}
}

// resolve reads the URI of an endpoint event. One of another origin would let
// a server direct the gateway, with all that it sends, elsewhere (MCP
// 2024-11-05, Transports, HTTP with SSE).
func resolve(base *url.URL, data string) (*url.URL, error) {
	ref, err := url.Parse(strings.TrimSpace(data))
	if err != nil || len(data) > maxEndpointURI {
		return nil, fmt.Errorf("%w: the endpoint event holds no URI", ErrProtocol)
	}
	u := base.ResolveReference(ref)
	if !sameOrigin(base, u) || u.User != nil || u.Opaque != "" {
		return nil, fmt.Errorf("%w: the endpoint event names another origin: %s", ErrProtocol, snippet([]byte(u.Redacted())))
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

// maxEndpointURI bounds the URI of an endpoint event.
const maxEndpointURI = 8 << 10

// read reads the stream to its end, with which the session is lost.
func (t *httpSSE) read(r *sse.Reader) {
	defer r.Close()
	t.lease = &r.Lease
	for {
		event, err := r.Next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("the server ended the stream")
			}
			t.life.end(lost(err))
			return
		}
		if m, ok := skimmed(event); ok {
			t.skimmed(m)
		} else if isMessageEvent(event) {
			t.receive(event.Data)
		}
	}
}

func (t *httpSSE) call(ctx context.Context, r request) (*jsonrpc.Message, error) {
	body := r.body
	m, err := t.do(ctx, r, func(ctx context.Context) error { return t.deliver(ctx, body) })
	t.life.lostBy(err)
	return m, err
}

func (t *httpSSE) send(ctx context.Context, msg []byte) error {
	l := newLease(ctx, t.life.ctx)
	defer l.end()
	err := t.deliver(l.ctx, msg)
	t.life.lostBy(err)
	return err
}

// deliver POSTs a message; its answer, if any, comes on the stream.
func (t *httpSSE) deliver(ctx context.Context, msg []byte) error {
	res, err := t.exchange(ctx, http.MethodPost, t.post, msg)
	if err == nil {
		defer res.Body.Close()
		discard(res.Body)
	} else if status, ok := errors.AsType[*StatusError](err); ok && status.doubtful {
		status.lives = !t.life.over() // as long as its stream does
	}
	return err
}

func (*httpSSE) kind() Kind { return SSE }

// close has nothing to say: the end of the stream, which the end of the
// session's life brings, is all that this transport has.
func (t *httpSSE) close(context.Context) {}
