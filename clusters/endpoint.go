package clusters

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters/process"
	"github.com/mcpgateway/mcpgateway/clusters/transport"
)

// avoidFor is how long an endpoint that could not be connected to is passed
// over, while there are others.
const avoidFor = 5 * time.Second

// Endpoint is one address of a cluster, with the connections to it: an
// http.RoundTripper. Its identity and connect settings never change; when they
// change in the file, a new Endpoint takes over the state of the old one.
//
// It lives while a Set, a Hold, a Process or a request in flight refers to it,
// and then closes all that it has open.
type Endpoint struct {
	cluster  string
	id       string
	url      *url.URL   // nil for a command
	addr     netip.Addr // invalid for a command, and for a name without address
	connects [32]byte   // key of the connect settings
	// request is Trace.Request, without the generation that it comes from.
	request func(cluster, endpoint string, status int, d time.Duration, err error)
	state   *state
	pool    *transport.Pool  // nil for a command
	command *process.Command // nil but for a command
	// unresolved is why the name has no address; nil when it has.
	unresolved error
	// query is that of MCP requests; a commit swaps it in place.
	query atomic.Pointer[string]
	// owner is the committed cluster that the endpoint belongs to.
	owner atomic.Pointer[Cluster]
	// checks is the endpoint as health checks see it: the same, with connections
	// of its own. A check on a connection of the traffic would fail with that
	// connection, and the endpoint with the check. For a command, and for checks
	// itself, it is nil.
	checks *Endpoint

	avoid   *atomic.Int64 // Unix nanoseconds until which others are preferred
	refs    atomic.Int64
	retired chan struct{}
	retire1 sync.Once
}

// ID names the endpoint, stable over generations: its URL, followed by
// "@address" where that does not stand in the URL, or "command".
func (e *Endpoint) ID() string { return e.id }

// URL is the configured URL without its query, which may hold secrets; nil for
// a command. It must not be modified.
func (e *Endpoint) URL() *url.URL { return e.url }

// Target is the URL that MCP requests go to, with its query. The caller may
// modify it, and must not show it.
func (e *Endpoint) Target() *url.URL {
	u := *e.url
	if q := e.query.Load(); q != nil {
		u.RawQuery = *q
	}
	return &u
}

// Address is the IP address and port that connections go to, "" for a command
// and for a name that did not resolve.
func (e *Endpoint) Address() string {
	if !e.addr.IsValid() {
		return ""
	}
	return hostPort(e.url, e.addr)
}

// Healthy reports whether the endpoint takes traffic gladly. A warming one
// does not yet; one without health checks does.
func (e *Endpoint) Healthy() bool { return e.health().Good() }

// Unhealthy reports whether health checks have found that the endpoint does not
// serve, or its name does not resolve. Without health checks nothing is found.
func (e *Endpoint) Unhealthy() bool { return e.health().Bad() }

func (e *Endpoint) health() Health {
	if e.unresolved != nil {
		return Unresolved
	}
	return e.state.health()
}

// Active is the number of requests in flight, over all generations. A request
// is in flight until its response body has ended or was closed.
func (e *Endpoint) Active() int { return int(e.state.active.Load()) }

// Retired is closed once the committed set no longer has this Endpoint: it was
// removed, or its pool was replaced. It goes on working for those that hold it.
func (e *Endpoint) Retired() <-chan struct{} { return e.retired }

// Hold keeps the endpoint alive beyond its generation, until release is called.
// It must be called while a set still refers to the endpoint. release may be
// called more than once.
func (e *Endpoint) Hold() (release func()) {
	if !e.acquire() {
		return func() {}
	}
	return sync.OnceFunc(e.release)
}

// RoundTrip sends the request to this endpoint, whatever host its URL names,
// with the cluster's identity and headers. Path, query and Host are the
// caller's; an empty Host is the endpoint's own. Redirects are answers like any
// other. An upgrade uses HTTP/1.1; after 101 the response body is an
// io.ReadWriteCloser.
//
// The error is a *transport.ConnectError when the request reached no server. The caller must read the
// body to its end or close it.
func (e *Endpoint) RoundTrip(req *http.Request) (*http.Response, error) { return e.try(req, 0) }

// try is RoundTrip with a bound on the time to the response header; 0 is none.
func (e *Endpoint) try(req *http.Request, timeout time.Duration) (res *http.Response, err error) {
	start := time.Now()
	err = e.unresolved
	if e.command != nil {
		err = errors.New("a command is spoken to over its pipes, not by HTTP")
	}
	if err == nil {
		res, err = e.pool.Send(req, timeout)
	} else {
		err = connectError(e, err)
		// A RoundTripper closes the body also when it fails (http.RoundTripper).
		if req.Body != nil {
			req.Body.Close()
		}
	}
	status := 0
	if err == nil {
		status = res.StatusCode
	}
	e.state.requests.Add(1)
	if _, unsent := errors.AsType[*transport.ConnectError](err); unsent && req.Context().Err() == nil {
		e.avoid.Store(time.Now().Add(avoidFor).UnixNano())
	} else if err == nil && e.avoid.Load() != 0 {
		e.avoid.Store(0)
	}
	if e.request != nil {
		e.request(e.cluster, e.id, status, time.Since(start), err)
	}
	return res, err
}

// connectError says that err has kept a request from reaching the server of e.
func connectError(e *Endpoint, err error) error {
	return &transport.ConnectError{Cluster: e.cluster, Endpoint: e.id, Err: err}
}

// acquire counts a reference, unless there is none left.
func (e *Endpoint) acquire() bool {
	for {
		n := e.refs.Load()
		if n == 0 {
			return false
		}
		if e.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (e *Endpoint) release() {
	if e.refs.Add(-1) > 0 {
		return
	}
	e.retire()
	if e.checks != nil {
		e.checks.release()
	}
	if e.pool != nil {
		// close_notify to a dead peer can take seconds, for which a commit must not
		// wait.
		go e.pool.Close()
	}
}

// retire tells holders to move on, and closes what is idle.
func (e *Endpoint) retire() {
	e.retire1.Do(func() { close(e.retired) })
	if e.checks != nil {
		e.checks.retire()
	}
	if e.pool != nil {
		go e.pool.CloseIdle()
	}
}

// hiddenQuery stands for a query, which may hold secrets.
const hiddenQuery = "…"

// endpointURL names a URL of a cluster, without its query.
func endpointURL(u *url.URL) string {
	text := withoutQuery(u).String()
	if u.Path == "/" {
		text = strings.TrimSuffix(text, "/")
	}
	return text
}

// endpointID names the endpoint at one address of a URL.
func endpointID(u *url.URL, a netip.Addr) string {
	if u == nil {
		return "command"
	}
	id := endpointURL(u)
	if u.RawQuery != "" {
		id += "?" + hiddenQuery
	}
	if _, ok := literal(u); ok || !a.IsValid() {
		return id
	}
	return id + "@" + a.String()
}
