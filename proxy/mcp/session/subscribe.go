package session

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/slot"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

// subscription is what a subscriptions/listen stream carries: the session that
// is made for it hears what the servers say, and passes on what was asked for
// (MCP 2026-07-28, Subscriptions). It is immutable once servers may speak.
type subscription struct {
	id jsonrpc.ID
	// lists are the notifications of changed lists that are wanted.
	lists map[string]bool
	// uris are the resources that are watched, as the client names them.
	uris []string
	// tasks are those whose state is wanted, as the client names them.
	tasks map[string]bool
}

// listFilters are the members of a filter that ask for changed lists, and the
// capability of a server that tells of them.
var listFilters = [...]struct{ member, method, capability string }{
	{"toolsListChanged", spec.NotificationToolsChanged, "tools"},
	{"promptsListChanged", spec.NotificationPromptsChanged, "prompts"},
	{"resourcesListChanged", spec.NotificationResourcesChanged, "resources"},
}

// parseSubscription reads the filter of subscriptions/listen.
func parseSubscription(m *jsonrpc.Message) (*subscription, error) {
	asked := m.Params().Get("notifications")
	if asked.Kind() != jsonrpc.Object {
		return nil, spec.MalformedParams("params.notifications is no object")
	}
	if key, dup := asked.DuplicateKey(); dup {
		return nil, spec.MalformedParams("duplicate key in params.notifications: " + key)
	}
	sub := &subscription{id: m.ID(), lists: map[string]bool{}, tasks: map[string]bool{}}
	for _, f := range listFilters {
		sub.lists[f.method] = asked.Get(f.member).Bool()
	}
	for _, uri := range asked.Get("resourceSubscriptions").Each {
		if uri.Kind() != jsonrpc.String {
			return nil, spec.MalformedParams("params.notifications.resourceSubscriptions holds what is no string")
		}
		sub.uris = append(sub.uris, uri.String())
	}
	for _, id := range asked.Get("taskIds").Each {
		sub.tasks[id.String()] = true
	}
	if len(sub.uris)+len(sub.tasks) > slot.MostSubscriptions {
		return nil, spec.MalformedParams("params.notifications names too many resources and tasks")
	}
	return sub, nil
}

// Subscribe answers subscriptions/listen, with a session of its own: one
// acknowledgement, then what the servers tell, until the client goes or the route, the
// connection or the process ends. The error is why there is nothing to write.
func (f Sender) Subscribe(ctx context.Context, m *jsonrpc.Message, write Write) error {
	sub, err := parseSubscription(m)
	if err != nil {
		return err
	}
	registry := f.Route.registry
	s := Session{registry.newSession(f.Route, f.Principal.Key(), StatelessInit(m))}
	s.subscribed = true
	s.outlets.subscription.Store(sub)
	s.outlets.listened = true // what servers say before the stream is there waits for it
	if err := registry.admit(s.session, f.Route); err != nil {
		return err
	}
	defer s.end("unsubscribed", errGone)
	defer s.Exit()
	if err := s.charge(int64(len(m.Raw()))); err != nil { // the filter refers to it
		return err
	}
	o := eventstream.Options{Open: true, Eager: true, Bytes: f.Route.QueueBytes()}
	c := s.newCall(f, m, s.newStream(o))
	c.start(ctx)
	ack, err := watcher{c}.open()
	c.stop()
	if err == nil && !registry.publish(s.session) {
		err = errEnded
	}
	if err != nil {
		return err
	}
	o.Kind = eventstream.Subscription
	st := s.newStream(o)
	defer st.End()
	reader := st.Reader()
	switch {
	case !st.Send(ack):
		return memory.ErrExhausted
	case s.Listen(st, 1) != nil:
		return errEnded
	}
	defer s.outlets.unlisten(reader)
	write(reader, func() []byte {
		st.Send(sub.cancelled())
		return sub.result()
	})
	return nil
}

// watcher makes servers tell what a subscription asks for.
type watcher struct{ *call }

// open reaches the servers and tells them what is watched. It returns the
// acknowledgement.
func (w watcher) open() ([]byte, error) {
	refs, sub := w.route.Members, *w.session.outlets.subscription.Load()
	found, missing, err := dispatcher(w).openAll(w.ctx, refs)
	if err != nil && len(missing) == len(refs) {
		return nil, err
	}
	if w.session.naming.Transparent(refs) {
		caps := found[0].Initialized.Result().Get("capabilities")
		sub.lists = maps.Clone(sub.lists)
		for _, f := range listFilters {
			sub.lists[f.method] = sub.lists[f.method] && caps.Get(f.capability, "listChanged").Bool()
		}
		narrowed := sub
		w.session.outlets.subscription.Store(&narrowed)
	}
	watched := make([]bool, len(sub.uris))
	var wg sync.WaitGroup
	for i, uri := range sub.uris {
		wg.Go(func() { watched[i] = w.watch(uri) })
	}
	wg.Wait()
	var uris []string
	for i, uri := range sub.uris {
		if watched[i] {
			uris = append(uris, uri)
		}
	}
	sub.uris = uris
	for id := range sub.tasks {
		wg.Go(func() { w.watchTask(id) })
	}
	wg.Wait()
	w.session.outlets.subscription.Store(&sub)
	return sub.acknowledged(), nil
}

// watch subscribes to one resource, at the server that has it.
func (w watcher) watch(uri string) bool {
	ref, own, err := resolver(w).resolveURI(uri)
	if err != nil {
		return false
	}
	at, watched := w.session.servers.at(ref.Name), false
	_ = at.Use(w.ctx, &w.Call, func(up *upstream.Session) error {
		if watched = at.Server().Capable("resources", "subscribe") && up.Subscribe(w.ctx, own, true) == nil; watched {
			at.Subscribed(own, true)
		}
		return nil
	})
	return watched
}

// watchTask asks the server that has a task to tell of it. Its state can be
// asked for in any case, so that nothing is lost where it does not.
func (w watcher) watchTask(id string) {
	if ref, own, err := resolver(w).resolveTask(id); err == nil {
		_ = w.session.servers.at(ref.Name).Use(w.ctx, &w.Call, func(up *upstream.Session) error { return up.WatchTask(w.ctx, own) })
	}
}

// acknowledged is the first message of the stream: what of the filter is
// honoured.
func (sub *subscription) acknowledged() []byte {
	var honoured []any
	for _, f := range listFilters {
		if sub.lists[f.method] {
			honoured = append(honoured, f.member, []byte("true"))
		}
	}
	honoured = append(honoured, "resourceSubscriptions", sub.uris, "taskIds", slices.Collect(maps.Keys(sub.tasks)))
	return jsonrpc.NewNotification(spec.NotificationSubscriptionAccepted, jsonrpc.NewObject("notifications", jsonrpc.NewObject(honoured...), "_meta", sub.meta()))
}

func (sub *subscription) meta() []byte {
	return jsonrpc.NewObject(jsonrpc.MetaSubscriptionID, []byte(sub.id.Raw()))
}

// cancelled and result end the stream: the one for clients of stdio's habits,
// the other as the answer to the request.
func (sub *subscription) cancelled() []byte {
	return jsonrpc.NewNotification(spec.NotificationCancelled, jsonrpc.NewObject("requestId", []byte(sub.id.Raw()), "_meta", sub.meta()))
}

func (sub *subscription) result() []byte {
	return jsonrpc.NewResult(sub.id, jsonrpc.NewObject("resultType", "complete", "_meta", sub.meta()))
}

// message is what a notice stands for; sub is nil for a client without one.
func (sub *subscription) message(n notice) []byte {
	switch {
	case n.msg != nil:
		return n.msg
	case sub != nil:
		return jsonrpc.NewNotification(n.list, jsonrpc.NewObject("_meta", sub.meta()))
	}
	return jsonrpc.NewNotification(n.list, []byte("{}")) // handlers in Go see nil where there are no params
}

// tagged is a notification that says to which subscription it belongs.
func (sub *subscription) tagged(m *jsonrpc.Message) []byte {
	var e jsonrpc.Edits
	e.SetMeta(m, jsonrpc.MetaSubscriptionID, []byte(sub.id.Raw()))
	return e.Apply(m)
}

// tag does the same for a notification that was made of what was parsed.
func (sub *subscription) tag(notification []byte) []byte {
	m, err := jsonrpc.Parse(notification)
	if err != nil {
		return notification
	}
	return sub.tagged(m)
}

// wants reports whether the stream carries a notification of a server.
func (sub *subscription) wants(m *jsonrpc.Message) bool {
	switch m.Method() {
	case spec.NotificationResourceUpdated:
		return len(sub.uris) > 0
	case spec.NotificationTask:
		return sub.tasks[m.Params().Get("taskId").String()]
	}
	return false
}

// close ends the stream of a subscription whose end is ours to tell.
func (sub *subscription) close(st *eventstream.Stream) {
	st.Send(sub.cancelled())
	st.Finish(http.StatusOK, sub.result())
}
