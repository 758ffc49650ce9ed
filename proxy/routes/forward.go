package routes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

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
	cluster    *clusters.Cluster
	base       string // the path of the cluster's URLs, without final slash
	timeout    time.Duration
	idle       time.Duration
	retry      clusters.RetryPolicy
	strip      string // what match.path or match.path_prefix matched
	prefix     string // replaces strip; "" is off
	host       string
	credential bool // the client's Authorization passes
	request    *edits
	answer     *edits // for 101, which no ResponseWriter sends
	buffers    *sync.Pool
	memory     *memory.Budget
	upload     int // the most that a body takes on its way, in bytes
}

func newForwarder(c *Config, cluster *clusters.Cluster, buffers *sync.Pool, budget *memory.Budget) *forwarder {
	f := &forwarder{
		cluster: cluster,
		base:    strings.TrimSuffix(cluster.Path(), "/"),
		timeout: c.Timeout,
		idle:    c.StreamIdleTimeout,
		retry: clusters.RetryPolicy{
			Attempts: c.Retry.Attempts, On: c.Retry.RetryOn, PerTryTimeout: c.Retry.PerTryTimeout,
		},
		strip:      c.Match.Path + strings.TrimSuffix(c.Match.PathPrefix, "/"),
		prefix:     c.Rewrite.PathPrefix,
		host:       c.Rewrite.Host,
		credential: c.Auth == nil,
		request:    compileEdits(&c.RequestHeaders),
		answer:     compileEdits(&c.ResponseHeaders),
		buffers:    buffers,
		memory:     budget,
		upload:     copyBuffer,
	}
	if cluster.MaySpeakHTTP2() {
		f.upload = maxFrame
	}
	return f
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

	// headers guards w against 1xx answers, which arrive on a goroutine of
	// the upstream connection until the final one does.
	headers       sync.Mutex
	informational int // 1xx answers so far
	answered      atomic.Bool
}

// maxInformational bounds the 1xx answers to one request. Each costs the client
// a header, and the upstream nothing.
const maxInformational = 32

var errInformational = fmt.Errorf("%w: it sent more than %d 1xx answers", transport.ErrProtocol, maxInformational)

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
	x.watch.start(f.timeout, f.idle, x.expire)
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
	x.final()
	if err == nil {
		err = x.reserve(resp)
	}
	switch {
	case err != nil:
		x.fail(err)
	case resp.StatusCode == http.StatusSwitchingProtocols:
		x.upgrade(out, resp)
	default:
		x.respond(resp)
	}
}

// final is called when the answer's header has come, or never will.
func (x *exchange) final() {
	x.watch.headerDone()
	x.headers.Lock()
	defer x.headers.Unlock()
	x.answered.Store(true)
}

// outgoing builds the upstream request. The endpoint completes its URL.
func (x *exchange) outgoing() (*http.Request, error) {
	r := x.r
	out := &http.Request{
		Method: r.Method,
		URL:    x.outgoingURL(),
		Header: make(http.Header, len(r.Header)+6),
		Host:   r.Host,
		Proto:  "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	if x.host != "" {
		out.Host = x.host
	}
	endToEnd(out.Header, r.Header)
	delete(out.Header, "Host") // HTTP/2 leaves one here; it equals r.Host
	if !x.credential {
		delete(out.Header, "Authorization")
	}
	if len(r.Header["Te"]) > 0 && hasToken(strings.Join(r.Header["Te"], ","), "trailers") {
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
		ctx = transport.OnInterim(ctx, x.inform)
	}
	return ctx
}

// inform passes 1xx answers on, 103 Early Hints above all. 100 is not: our own
// server sends it when the upstream wants the body.
func (x *exchange) inform(status int, header textproto.MIMEHeader) error {
	x.headers.Lock()
	defer x.headers.Unlock()
	if x.informational++; x.informational > maxInformational {
		return errInformational
	}
	if status == http.StatusContinue {
		return nil
	}
	if x.answered.Load() {
		return nil
	}
	h := x.w.Header()
	before := h.Clone()
	endToEnd(h, http.Header(header))
	x.w.WriteHeader(status)
	clear(h)
	endToEnd(h, before)
	return nil
}

// outgoingURL rewrites the prefix and puts the cluster's own path before it.
// RawPath, where there is one, is rewritten alike: %2F is refused at the edge,
// so both have the same segments.
func (x *exchange) outgoingURL() *url.URL {
	in := x.r.URL
	u := &url.URL{Path: in.Path, RawPath: in.RawPath, RawQuery: in.RawQuery, ForceQuery: in.ForceQuery}
	if x.prefix != "" {
		u.Path = replacePrefix(u.Path, len(x.strip), x.prefix)
		if u.RawPath != "" {
			rest := skipSegments(in.RawPath, strings.Count(x.strip, "/"))
			u.RawPath = replacePrefix(in.RawPath, rest, escaped(x.prefix))
		}
	}
	if x.base != "" {
		u.Path = x.base + u.Path
		if u.RawPath != "" {
			u.RawPath = escaped(x.base) + u.RawPath
		}
	}
	return u
}

func escaped(path string) string { return (&url.URL{Path: path}).EscapedPath() }

// replacePrefix puts prefix in place of the first n bytes of path.
func replacePrefix(path string, n int, prefix string) string {
	rest := path[n:]
	prefix = strings.TrimSuffix(prefix, "/")
	if rest == "" && prefix == "" {
		return "/"
	}
	return prefix + rest
}

// skipSegments returns how many bytes of path its first n segments take.
func skipSegments(path string, n int) int {
	for i := range len(path) {
		if path[i] == '/' {
			if n == 0 {
				return i
			}
			n--
		}
	}
	return len(path)
}

// expire is called by watch, at most once, when the exchange takes too long.
func (x *exchange) expire(cause error) {
	x.cancel(cause)
	if !errors.Is(cause, errIdle) {
		return
	}
	// A handler that is stuck reading from, or writing to, the client wakes up.
	if x.uploading() {
		_ = x.control.SetReadDeadline(time.Unix(1, 0)) // without deadlines there is only the cancellation
	}
	if x.answered.Load() {
		_ = x.control.SetWriteDeadline(time.Unix(1, 0))
	}
}
