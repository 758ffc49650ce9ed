package session

import (
	"reflect"
	"time"
)

// Trace receives the facts that logs and metrics are made of. Each function
// may be nil; each may be called from several goroutines at once, and must
// not block. The zero value receives nothing.
type Trace struct {
	// SessionOpened: a client initialised a session on route.
	SessionOpened func(route string)
	// SessionClosed: a session ended; reason is deleted, idle, evicted (idle, and
	// another needed the room), closed (with its only stream), route_removed, upstream_changed or shutdown.
	SessionClosed func(route, reason string)
	// StreamOpened and StreamClosed frame each stream to a client.
	StreamOpened func(route string)
	StreamClosed func(route string)
	// Upstream: an upstream session was opened (err nil) or could not be.
	Upstream func(route, cluster, endpoint string, err error)
	// UpstreamLost: an open upstream session died, and is initialised anew
	// when it is next needed.
	UpstreamLost func(route, cluster, endpoint string, err error)
	// Ignored: a server sent something that no client gets, such as what a program
	// prints on the way. report is false where there is too much of it for each
	// to be reported.
	Ignored func(route, cluster, endpoint string, err error, report bool)
	// Call: a request was answered, by a result or by an error of the server
	// (flag "") or by an error of ours (flag names it).
	Call func(route, cluster, method, flag string, d time.Duration)
	// Unavailable: a list was answered without these clusters.
	Unavailable func(route, method string, clusters []string, err error)
	// Name: a tool, prompt or template (kind) of cluster is hidden, or kept
	// with a warning; reason says why.
	Name func(route, cluster, kind, name, reason string)
	// ToolChanged: the definition of a tool is not what it was; old and new
	// are hashes of it.
	ToolChanged func(route, cluster, tool, old, new string)
	// ServerRequest: a request of a server to a client ended; err is nil when
	// the client answered.
	ServerRequest func(route, cluster, method string, err error)
}

// complete returns t with functions that do nothing in place of those that are nil.
func (t *Trace) complete() *Trace {
	all := new(Trace)
	if t != nil {
		*all = *t
	}
	fields := reflect.ValueOf(all).Elem()
	for i := range fields.NumField() {
		if f := fields.Field(i); f.IsNil() {
			f.Set(reflect.MakeFunc(f.Type(), func([]reflect.Value) []reflect.Value { return nil }))
		}
	}
	return all
}
