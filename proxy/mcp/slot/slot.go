// Package slot is one cluster's place in a client's session.
//
// A [Slot] outlives the upstream sessions that it opens, one at a time, when they
// are needed. It finds an endpoint, initialises it, brings it to the state that the
// client believes it to have, takes it over to the pools of a new generation, and
// replaces it when it is lost. Of the client's session it knows the [Owner] and a
// [Config], and of a request of the client a [Call].
//
// All that is exported may be called from any goroutine. The lock of a slot is taken
// before the locks behind its Owner and its Config, and is not held while something is
// read from or written to a network.
package slot

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/clusters/process"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

const (
	// SendTimeout bounds the sending of what no client waits for.
	SendTimeout = 10 * time.Second
	// closeTimeout bounds the farewell to an upstream session.
	closeTimeout = 5 * time.Second
	// unhealthyTime is how long a list waits for a server that health checks have
	// found not to serve: long enough for one that serves all the same.
	unhealthyTime = time.Second
)

var (
	// ErrEnded: the session has ended.
	ErrEnded = errors.New("the session has ended")
	// ErrChanged: a server came back, and the client cannot go on with it.
	ErrChanged = errors.New("the server came back with another version or fewer capabilities")
	// ErrListTime: a server took longer than the route gives it for a list.
	ErrListTime = errors.New("no answer within timeouts.list")
)

// Owner is the session of a slot.
type Owner interface {
	// Go runs f on a goroutine that the session's end waits for, with a context that
	// ends with the session. It reports false, and does nothing, when that has ended.
	// The slot's lock is held meanwhile.
	Go(f func(ctx context.Context)) bool
	// Received takes a request or a notification that the server did not send with
	// the answer to a call. It must not block: other messages wait behind it.
	Received(from *Upstream, m *jsonrpc.Message)
	// ListsChanged tells the client that lists may have changed: a server is back, and
	// what it sent meanwhile was missed.
	ListsChanged()
	// Listening reports whether a stream of the client is open. The slot's lock may be
	// held meanwhile.
	Listening() bool
	// Lesser ends the session with ErrChanged: the server came back, and can do less
	// than the client was told.
	Lesser()
}

// Config is what a slot is made of. It is not changed afterwards.
type Config struct {
	Route, Cluster string // their names
	Client         *upstream.Client
	// Init are the params of initialize. Principal is the client's, "" for an
	// anonymous one.
	Init      []byte
	Principal string
	Naming    federation.Naming
	// Modern: the client speaks a revision without sessions.
	Modern bool
	// Hears: the client may be asked in the middle of a call, or has subscribed. No
	// call is made before the server's stream is there, if it has one.
	Hears bool
	// LogLevel returns the level that the client has asked for, "" for none.
	LogLevel func() string
	// Background runs f on a goroutine that may outlive the session.
	Background func(f func())
	// Own and Disown frame the use of a server's process. The slot's lock is held
	// meanwhile.
	Own, Disown func(*process.Process)
	// Opened is told that an upstream session was opened (err nil) or could not be, Lost
	// that an open one died, and Ignored of what a server sent and no client gets; report
	// is false where there is too much of it for each to be reported. None may block.
	Opened, Lost func(route, cluster, endpoint string, err error)
	Ignored      func(route, cluster, endpoint string, err error, report bool)
}

// Generation is what a generation of the configuration says to the slots of a route.
// It is immutable.
type Generation struct {
	Seq      uint64 // later ones have higher ones
	Members  []federation.Member
	Clusters *clusters.Set // each member is one of them
	List     time.Duration // bounds initialize, and each list
	// Message and Result are the longest message and answer of a server, in bytes.
	Message, Result int64
}

// Call is a request of the client, for which servers are called.
type Call struct {
	Generation *Generation         // in which it began
	Header     http.Header         // of the client, that goes upstream
	Caller     upstream.Caller     // what waits for the server
	Info       *filter.RequestInfo // is told of the endpoint
	Sink       Sink
}

// Sink takes what a server says of a call before it answers it. Neither method may
// block.
type Sink interface {
	// Received takes a request or a notification that came with the answer.
	Received(from *Upstream, m *jsonrpc.Message)
	// Progress takes a notification with the call's progress token, however it came.
	Progress(m *jsonrpc.Message)
}

// Canceled is in the chain of a context's cause when the client has cancelled its
// request with a notification. The server is sent the same.
type Canceled interface {
	error
	// Notification is the client's for the cluster, to which the request has this id.
	Notification(cluster string, id jsonrpc.ID) []byte
}

// Slot is one cluster's place in a session.
type Slot struct {
	owner   Owner
	cfg     Config
	backoff process.Backoff // of the session's own processes

	mu         sync.Mutex
	generation *Generation // the newest that was seen
	header     http.Header // of the client, for what the session sends unasked
	up         *Upstream   // nil: none is open
	opening    *opening
	first      *jsonrpc.Message // the first answer to initialize
	server     Server
	subs       map[string]struct{}
	// down: the last attempt failed, or an upstream session was lost. When there is
	// one again the client learns that the lists have changed.
	down bool
	pace pace
	left error // why nothing is opened any more; nil: it is
}

// New returns a slot without an upstream session. Leave ends it.
func New(owner Owner, cfg Config) *Slot {
	return &Slot{owner: owner, cfg: cfg, subs: map[string]struct{}{}}
}

// Cluster returns the cluster's name.
func (s *Slot) Cluster() string { return s.cfg.Cluster }

// Adopt makes the slot follow a generation: where the endpoint has another pool, an
// upstream session moves over to it, unless it is bound to its connection; then it
// stays until it is idle.
func (s *Slot) Adopt(g *Generation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.adoptLocked(g)
}

func (s *Slot) adoptLocked(g *Generation) {
	if s.generation != nil && g.Seq <= s.generation.Seq {
		return // an older generation that has not drained uses what is there
	}
	s.generation = g
	u := s.up
	cluster, ok := g.Clusters.Get(s.cfg.Cluster)
	if u == nil || !ok {
		return
	}
	endpoint, ok := cluster.Endpoint(u.session.Endpoint().ID())
	switch {
	case ok && (endpoint == u.session.Endpoint() || u.session.Rebind(endpoint)):
	case !ok, u.uses == 0 && u.session.Busy() == 0:
		s.detachLocked()
		s.reviveLocked()
	default:
		u.stale = true
	}
}

// Leave ends the slot: its cluster is not of the route any more, or the session has
// ended, which is why the error says. Calls in flight end first, unless the session's
// end has ended them.
func (s *Slot) Leave(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = why
	if s.up != nil {
		s.detachLocked()
	}
}

// Removed says that a cluster is not of the route any more.
func Removed(cluster string) error {
	return spec.InvalidParams("the cluster " + cluster + " has been removed")
}

// detachLocked takes the open upstream session out of use; it is closed when its last
// user is done.
func (s *Slot) detachLocked() {
	u := s.up
	s.up = nil
	if process := u.session.Process(); process != nil {
		s.cfg.Disown(process)
	}
	if u.uses == 0 {
		u.closeLocked()
	}
}

// Notify sends a message over the open upstream session, if there is one.
func (s *Slot) Notify(ctx context.Context, msg []byte) error {
	u := s.live()
	if u == nil {
		return nil
	}
	defer u.release()
	ctx, cancel := context.WithTimeout(ctx, SendTimeout)
	defer cancel()
	return u.session.Send(ctx, msg)
}

// StartListening makes the server send what belongs to no call.
func (s *Slot) StartListening() {
	if u := s.live(); u != nil {
		defer u.release()
		u.session.StartListening()
	}
}

// live returns the open upstream session for something that may be left undone
// without one, or nil. It must be released.
func (s *Slot) live() *Upstream {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.up != nil {
		s.up.uses++
	}
	return s.up
}

const (
	// MostSubscriptions bounds the subscriptions that are replayed.
	MostSubscriptions = 1000
	// subscriptionLength bounds their URIs, in bytes.
	subscriptionLength = 4 << 10
)

// Subscribed notes a resource that the server is to tell of on each upstream session
// to come, or that it is not any more.
func (s *Slot) Subscribed(uri string, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !on {
		delete(s.subs, uri)
	} else if len(s.subs) < MostSubscriptions && len(uri) <= subscriptionLength {
		s.subs[uri] = struct{}{}
	}
}

// Server is what is known of a slot's server.
type Server struct {
	Open   bool // there is an upstream session
	Modern bool // it was last found to have no sessions
	// initialized is its last answer to initialize; nil: it has given none.
	initialized *jsonrpc.Message
}

// Server returns what is known of the server.
func (s *Slot) Server() Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	server := s.server
	server.Open = s.up != nil
	return server
}

// Capable reports whether the server declares the capability. Of a server that has
// not been initialised it is assumed.
func (s Server) Capable(name ...string) bool {
	if s.initialized == nil {
		return true
	}
	v := s.initialized.Result().Get("capabilities").Get(name...)
	return v.Exists() && (v.Kind() != jsonrpc.Bool || v.Bool())
}

// Shareable reports whether the upstream session may serve another conversation.
func (s *Slot) Shareable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opening == nil && (s.up == nil || s.up.session.Stateless())
}

// Patience returns how long a request to several servers waits for this one, and
// whether it is hopeless: an attempt to open an upstream session has been going on
// for longer than that.
func (s *Slot) Patience(g *Generation) (patience time.Duration, hopeless bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	patience = g.List
	unhealthy := false
	if s.up != nil {
		unhealthy = s.up.session.Endpoint().Unhealthy()
	} else if cluster, ok := g.Clusters.Get(s.cfg.Cluster); ok {
		unhealthy = !slices.ContainsFunc(cluster.Endpoints(), func(e *clusters.Endpoint) bool { return !e.Unhealthy() })
	}
	if unhealthy {
		patience = min(patience, unhealthyTime)
	}
	return patience, s.opening != nil && time.Since(s.opening.since) > patience
}
