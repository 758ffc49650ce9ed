package routes

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/mcpgateway/mcpgateway/proxy/filter"
)

// action is what a route does: a key of Config, whether a route has it, and the
// maker of the handler that serves the route then, with its auth and edits. The
// handler keeps what it needs of Deps and not Deps itself: Previous would keep every
// generation before it in memory.
type action struct {
	key   string
	given func(*Config) bool
	build func(*Router, *Config, Deps) (http.Handler, error)
}

// actions are all actions. A route has exactly one.
var actions = []action{
	{"mcp", func(c *Config) bool { return c.MCP != nil }, (*Router).mcpAction},
	{"cluster", func(c *Config) bool { return c.Cluster != "" }, plain(newForwarder)},
	{"health", func(c *Config) bool { return c.Health != "" }, plain(health)},
	{"redirect", func(c *Config) bool { return c.Redirect != nil }, plain(redirect)},
	{"respond", func(c *Config) bool { return c.Respond != nil }, plain(respond)},
}

// plain has an action served behind the route's auth, and its answers edited.
func plain(build func(*Config, Deps) (http.Handler, error)) func(*Router, *Config, Deps) (http.Handler, error) {
	return func(rt *Router, c *Config, deps Deps) (http.Handler, error) {
		h, err := build(c, deps)
		if err == nil {
			h, err = rt.authenticated(c, deps, h, nil)
		}
		if err != nil {
			return nil, err
		}
		return edited(c, h), nil
	}
}

func health(c *Config, deps Deps) (http.Handler, error) {
	ready := deps.Ready
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h["Cache-Control"] = []string{"no-store"}
		if c.Health == "ready" && ready != nil && !ready() {
			filter.WriteError(w, http.StatusServiceUnavailable, "not_ready", "starting, shutting down or short of memory")
			return
		}
		answer(w, http.StatusOK, "text/plain; charset=utf-8", "ok\n")
	}), nil
}

func respond(c *Config, _ Deps) (http.Handler, error) {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer(w, c.Respond.Status, c.Respond.ContentType, c.Respond.Body)
	}), nil
}

func answer(w http.ResponseWriter, status int, contentType, body string) {
	if body != "" {
		w.Header()["Content-Type"] = []string{contentType}
	}
	w.WriteHeader(status)
	if body != "" {
		_, _ = w.Write([]byte(body)) // a client that is gone needs no answer
	}
}

func redirect(c *Config, _ Deps) (http.Handler, error) {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to, current := c.Redirect, filter.Scheme(r)
		scheme, host, path, query := cmp.Or(to.Scheme, current), to.Host, cmp.Or(to.Path, r.URL.EscapedPath()), r.URL.RawQuery
		if host == "" {
			if host = r.Host; scheme != current {
				host = withoutPort(host)
			}
		}
		if query != "" {
			if strings.Contains(path, "?") {
				path += "&" + query
			} else {
				path += "?" + query
			}
		}
		w.Header()["Location"] = []string{scheme + "://" + host + path}
		w.WriteHeader(to.Status)
	}), nil
}

func withoutPort(hostport string) string {
	if colon := strings.LastIndexByte(hostport, ':'); colon > strings.LastIndexByte(hostport, ']') {
		return hostport[:colon]
	}
	return hostport
}
