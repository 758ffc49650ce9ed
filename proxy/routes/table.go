package routes

import (
	"net/http"
	"slices"
	"strings"

	"github.com/mcpgateway/mcpgateway/listeners"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
)

// ServeHTTP serves a request by the first route that matches.
func (t *table) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host, refused := checkEdge(r)
	if conn := listeners.FromContext(r.Context()); (refused == nil || refused.peculiar != 0) && conn != nil && conn.Misdirected(host) {
		refused = &refusal{status: http.StatusMisdirectedRequest, code: "misdirected_request", message: "this host has other rules for clients than the name that the connection was opened for; open a connection for it"}
	}
	var rt *route
	switch {
	case refused == nil && asterisk(r):
		w.Header()["Allow"] = []string{allowed}
		w.WriteHeader(http.StatusOK)
		return
	case refused == nil:
		if rt = t.find(r, host); rt == nil {
			refused = t.missing(r, host)
		}
	case refused.peculiar != 0:
		var passed *http.Request
		if passed, rt = t.excused(r, host, refused.peculiar); rt != nil {
			r = passed
		}
	}
	if rt != nil {
		filter.RequestInfoFrom(r.Context()).SetRoute(rt.name)
		rt.handler.ServeHTTP(w, r)
		return
	}
	rec := filter.RequestInfoFrom(r.Context())
	if refused.status == http.StatusBadRequest || refused.status == http.StatusMisdirectedRequest {
		rec.SetFlag(filter.FlagDownstreamProtocolError)
	} else {
		rec.SetFlag(filter.FlagNoRoute)
	}
	rec.SetReason(refused.message)
	if refused.allow != "" {
		w.Header()["Allow"] = []string{refused.allow}
	}
	filter.WriteError(w, refused.status, refused.code, refused.message)
}

func (t *table) find(r *http.Request, host string) *route {
	c := t.candidates(host, r.URL.Path)
	for rt := c.next(); rt != nil; rt = c.next() {
		if rt.matches(r, host) && rt.matchesMethod(r.Method) {
			return rt
		}
	}
	return nil
}

// missing is 404, or 405 where another method would have matched.
func (t *table) missing(r *http.Request, host string) *refusal {
	var methods []string
	c := t.candidates(host, r.URL.Path)
	for rt := c.next(); rt != nil; rt = c.next() {
		if rt.matches(r, host) {
			methods = append(methods, rt.methods...)
		}
	}
	if len(methods) > 0 {
		slices.Sort(methods)
		return &refusal{status: http.StatusMethodNotAllowed, code: "method_not_allowed", message: "no route takes this method here", allow: strings.Join(slices.Compact(methods), ", ")}
	}
	return &refusal{status: http.StatusNotFound, code: string(filter.FlagNoRoute), message: "no route matches this request"}
}
