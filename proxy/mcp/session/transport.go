package session

import (
	"context"
	"errors"
	"net/http"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

// Transport is what carries the messages of a session.
type Transport int

const (
	// Streamable is Streamable HTTP: a POST a message.
	Streamable Transport = iota
	// HTTPSSE is HTTP+SSE: a POST a message, and one stream for all that is for
	// the client.
	HTTPSSE
	// WebSocket is a WebSocket, which is such a stream too.
	WebSocket
)

// Sender is a client that sends a message, and what comes with it.
type Sender struct {
	// Route is of the generation that serves the message.
	Route     *Route
	Principal filter.Principal
	Info      *filter.RequestInfo
	// Header is what of the client's headers goes upstream.
	Header http.Header
}

// Session is a session as the transport of its client uses it. The client may use
// several at once.
type Session struct{ *session }

// Find returns the session of a transport that a client names.
func (r *Route) Find(id string, via Transport) (Session, bool) {
	s := r.registry.find(id)
	return Session{s}, s != nil && s.route == r.Name && s.via == via
}

// OpenOnStream begins the session of a transport that has one stream for all that
// is for the client, Only. The session lasts as long as that, and is in use until
// its Exit; its client initialises it over the stream.
func (f Sender) OpenOnStream(via Transport) (Session, error) {
	registry := f.Route.registry
	s := Session{registry.newSession(f.Route, f.Principal.Key(), ClientInit{version: spec.NewestLegacy})}
	s.via = via
	s.handshake.Store(uninitialized)
	s.only = s.newStream(eventstream.Options{Open: true, Eager: true, Bytes: f.Route.QueueBytes()})
	if err := registry.admit(s.session, f.Route); err != nil {
		return Session{}, err
	}
	if !registry.publish(s.session) || s.Listen(s.only, 1) != nil {
		s.end("failed", errEnded)
		return Session{}, errClosed
	}
	registry.tasks.run(func() {
		<-s.only.Reader().Stopped()
		s.end("closed", errGone)
	})
	return s, nil
}

// Enter counts an HTTP request, during which the session is not idle, and makes
// the session follow the route's generation. It reports false when the session has
// ended. Exit must be called otherwise.
func (s Session) Enter(route *Route) bool { return s.life.enter(route) }

// Exit ends what Enter or OpenOnStream began.
func (s Session) Exit() { s.life.exit() }

// Delete ends the session for its client.
func (s Session) Delete() { s.end("deleted", errEnded) }

// Current returns the route of the newest generation that the session has seen.
func (s Session) Current() *Route { return s.life.current() }

// Batches reports whether the client may send batches.
func (s Session) Batches() bool { return s.ready() && s.version == spec.Batches }

// Launch runs a request on a goroutine of the session, which outlives the HTTP
// request that brought it: a disconnect is no cancellation. Its answer goes to out.
// The error is why the request did not become a call.
func (s Session) Launch(from Sender, m *jsonrpc.Message, out eventstream.Outlet) error {
	c := s.newCall(from, m, out)
	switch method := m.Method(); {
	case method == spec.Initialize && s.only != nil:
		return s.initializeOnStream(c)
	case method != spec.Ping && !s.ready():
		return &spec.Error{Code: jsonrpc.CodeInvalidRequest, Text: "the session has not been initialized"}
	}
	return s.launch(c, func() {})
}

// Inform takes a notification of the client, or its answer to a request of a
// server. later runs what may wait for the servers, at once or in the order of the
// messages.
func (s Session) Inform(ctx context.Context, from Sender, m *jsonrpc.Message, later func(func())) {
	switch {
	case !s.ready():
		// There is nothing yet that it could be about.
	case m.Kind() == jsonrpc.Response:
		s.questions.answer(m)
	case m.Method() == spec.NotificationCancelled:
		s.calls.cancel(m) // nothing may hold it up
	default:
		passed := s.questions.reports(m)
		later(func() {
			defer passed()
			s.notification(upstream.WithHeader(ctx, from.Header), from.Route, m)
		})
	}
}

// Only returns the session's only stream; nil for Streamable HTTP.
func (s Session) Only() *eventstream.Stream { return s.only }

// newStream returns a stream whose messages are charged.
func (s Session) newStream(o eventstream.Options) *eventstream.Stream {
	o.Lease = s.registry.opts.Memory.Lease(memory.Answer)
	return eventstream.New(o)
}

// NewResumable returns one that the client can resume, if the route keeps events.
func (s Session) NewResumable(o eventstream.Options) *eventstream.Stream {
	if s.outlets.store.Enabled() {
		o.Store = s.outlets.store
		// Clients of older revisions take an event without data for broken JSON.
		o.Primes = s.version >= spec.NewestLegacy
	}
	return s.newStream(o)
}

// Listen adds a stream for what belongs to no call, until Leave. The error is
// that there are too many.
func (s Session) Listen(st *eventstream.Stream, limit int) error {
	if !s.outlets.listen(st, limit) {
		return errStreams
	}
	s.servers.startListening()
	return nil
}

// Resume gives the stream of the event with this id a new reader, which Leave ends,
// and no other stream.
//
// What cannot be resumed is refused with 400 and a reason: 404 would end the
// whole session for the sake of one stream, and after 5xx or 429 clients try
// the same again. The official SDKs report the refusal and give the stream up,
// as they must: its next messages are lost.
func (s Session) Resume(id string, limit int) (eventstream.Reader, error) {
	reader, err := s.outlets.resume(id, limit)
	switch {
	case errors.Is(err, eventstream.ErrUnknownEvent), errors.Is(err, eventstream.ErrEvicted):
		return reader, spec.MalformedParams(err.Error())
	case err == nil && reader.Stream().Standing():
		s.servers.startListening()
	}
	return reader, err
}

// Leave ends a reader. What its stream was given, and neither wrote nor keeps, goes
// elsewhere.
func (s Session) Leave(r eventstream.Reader) {
	if r.Stream().Standing() {
		s.outlets.unlisten(r)
	} else {
		s.outlets.rescue(r)
	}
}
