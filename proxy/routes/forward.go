package routes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/clusters/transport"
	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/listeners"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
)

// copyBuffer is how much of a body is on its way at a time.
const copyBuffer = 32 << 10

// forwarder is the action cluster: a reverse proxy to one cluster.
type forwarder struct {
	route   *Config
	cluster *clusters.Cluster
	base    string // the path of the cluster's URLs, without final slash
	retry   clusters.RetryPolicy
	strip   string // what match.path or match.path_prefix matched
	prefix  string // replaces strip; "" is off
	request *edits
	answer  *edits // for 101, which no ResponseWriter sends
	buffers *sync.Pool
	memory  *memory.Budget
	upload  int // the most that a body takes on its way, in bytes
}

// newForwarder makes the action cluster.
func newForwarder(c *Config, deps Deps) (http.Handler, error) {
	cluster, ok := deps.Clusters.Get(c.Cluster)
	if !ok {
		return nil, fmt.Errorf("there is no cluster %q", c.Cluster)
	}
	if cluster.IsCommand() {
		return nil, fmt.Errorf("cluster %q is a command, which only mcp routes speak to", c.Cluster)
	}
	f := &forwarder{
		route:   c,
		cluster: cluster,
		base:    strings.TrimSuffix(cluster.Path(), "/"),
		retry:   clusters.RetryPolicy{Attempts: c.Retry.Attempts, On: c.Retry.RetryOn, PerTryTimeout: c.Retry.PerTryTimeout},
		strip:   c.Match.Path + strings.TrimSuffix(c.Match.PathPrefix, "/"),
		prefix:  c.Rewrite.PathPrefix,
		request: compileEdits(&c.RequestHeaders),
		answer:  compileEdits(&c.ResponseHeaders),
		buffers: deps.buffers,
		memory:  deps.Memory,
		upload:  copyBuffer,
	}
	if cluster.MaySpeakHTTP2() {
		f.upload = maxFrame
	}
	return f, nil
}

// exchange is one request on its way through.
type exchange struct {
	*forwarder
	w       http.ResponseWriter
	r       *http.Request
	control *http.ResponseController
	info    *filter.RequestInfo
	conn    *listeners.Conn // nil in front of no listener
	ctx     context.Context // of the upstream side
	cancel  context.CancelCauseFunc
	watch   watch
	body    *requestBody // nil when the request has none left to stream
	kept    *keptBody    // of body
	lease   memory.Lease // of a body that was read whole
	window  memory.Lease // of what the upstream may have sent of the answer

	interim interim
}

// ServeHTTP passes one request on, and its answer back.
func (f *forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{
		forwarder: f, w: w, r: r,
		control: http.NewResponseController(w),
		info:    filter.RequestInfoFrom(r.Context()),
		conn:    listeners.FromContext(r.Context()),
	}
	x.info.SetCluster(f.cluster.Name())
	x.ctx, x.cancel = context.WithCancelCause(r.Context())
	defer x.cancel(nil)
	x.watch.start(f.route.Timeout, f.route.StreamIdleTimeout, x.expire)
	defer x.watch.stop()
	x.lease, x.window = f.memory.Lease(memory.Body), f.memory.Lease(memory.Answer)
	defer x.lease.Release()
	defer x.window.Release()

	out, err := x.outgoing()
	if err != nil {
		x.fail(err)
		return
	}
	resp, err := f.cluster.RoundTrip(out)
	if x.kept != nil {
		x.kept.release()
	}
	x.watch.headerDone()
	x.interim.end()
	if err == nil {
		err = x.reserve(resp)
	}
	switch {
	case err != nil:
		x.fail(err)
	case resp.StatusCode == http.StatusSwitchingProtocols:
		x.upgrade(out, resp)
	default:
		x.passAnswer(resp)
	}
}

// outgoing builds the upstream request. The endpoint completes its URL.
func (x *exchange) outgoing() (*http.Request, error) {
	r := x.r
	out := &http.Request{
		Method: r.Method,
		URL:    x.upstreamURL(r.URL),
		Header: make(http.Header, len(r.Header)+6),
		Host:   cmp.Or(x.route.Rewrite.Host, r.Host),
		Proto:  "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	endToEnd(out.Header, r.Header)
	delete(out.Header, "Host") // HTTP/2 leaves one here; it equals r.Host
	if x.route.Auth != nil {   // the client gave it to the gateway, and to no upstream
		delete(out.Header, "Authorization")
	}
	if httpguts.HeaderValuesContainsToken(r.Header["Te"], "trailers") {
		out.Header["Te"] = []string{"trailers"} // gRPC servers want to see it
	}
	if protocol := upgradeOf(r); protocol != "" {
		out.Header["Connection"], out.Header["Upgrade"] = []string{"Upgrade"}, []string{protocol}
	}
	setForwarded(out.Header, r)
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header["User-Agent"] = nil // none, not net/http's
	}
	x.request.apply(out.Header)
	if err := x.attachBody(out); err != nil {
		return nil, err
	}
	return out.WithContext(x.outgoingContext()), nil
}

func (x *exchange) outgoingContext() context.Context {
	ctx := clusters.OnPick(x.ctx, func(e *clusters.Endpoint) { x.info.SetEndpoint(e.ID()) })
	if x.retry.Attempts > 1 {
		ctx = clusters.WithRetry(ctx, x.retry)
	}
	// HTTP/1.0 knows no 1xx.
	if x.r.ProtoAtLeast(1, 1) {
		ctx = transport.OnInterim(ctx, func(status int, header textproto.MIMEHeader) error { return x.interim.pass(x.w, status, header) })
	}
	return ctx
}

// expire is called by watch, at most once, when the exchange takes too long.
func (x *exchange) expire(cause error) {
	x.cancel(cause)
	if !errors.Is(cause, errIdle) {
		return
	}
	// A handler that is stuck reading from, or writing to, the client wakes up.
	if x.body.uploading() {
		_ = x.control.SetReadDeadline(time.Unix(1, 0)) // without deadlines there is only the cancellation
	}
	if x.interim.over.Load() {
		_ = x.control.SetWriteDeadline(time.Unix(1, 0))
	}
}
