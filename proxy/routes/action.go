package routes

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/mcpgateway/mcpgateway/proxy/filter"
)

// newAction makes the one action of a route other than mcp.
func newAction(c *Config, deps Deps, buffers *sync.Pool) (http.Handler, error) {
	switch {
	case c.Cluster != "":
		cluster, ok := deps.Clusters.Get(c.Cluster)
		if !ok {
			return nil, fmt.Errorf("there is no cluster %q", c.Cluster)
		}
		if cluster.IsCommand() {
			return nil, fmt.Errorf("cluster %q is a command, which only mcp routes speak to", c.Cluster)
		}
		return newForwarder(c, cluster, buffers, deps.Memory), nil
	case c.Health != "":
		return health(c.Health, deps.Ready), nil
	case c.Redirect != nil:
		return redirect(c.Redirect), nil
	case c.Respond != nil:
		return respond(c.Respond), nil
	}
	return nil, errors.New("no action")
}

func health(kind string, ready func() bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h["Cache-Control"] = []string{"no-store"}
		if kind == "ready" && ready != nil && !ready() {
			filter.WriteError(w, http.StatusServiceUnavailable, "not_ready", "starting, shutting down or short of memory")
			return
		}
		answer(w, http.StatusOK, "text/plain; charset=utf-8", "ok\n")
	})
}

func respond(c *Respond) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer(w, c.Status, c.ContentType, c.Body)
	})
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

func redirect(c *Redirect) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		current := filter.Scheme(r)
		scheme, host, path, query := c.Scheme, c.Host, c.Path, r.URL.RawQuery
		if scheme == "" {
			scheme = current
		}
		if host == "" {
			if host = r.Host; scheme != current {
				host = withoutPort(host)
			}
		}
		if path == "" {
			path = r.URL.EscapedPath()
		}
		if query != "" {
			if strings.Contains(path, "?") {
				path += "&" + query
			} else {
				path += "?" + query
			}
		}
		w.Header()["Location"] = []string{scheme + "://" + host + path}
		w.WriteHeader(c.Status)
	})
}

func withoutPort(hostport string) string {
	if colon := strings.LastIndexByte(hostport, ':'); colon > strings.LastIndexByte(hostport, ']') {
		return hostport[:colon]
	}
	return hostport
}
