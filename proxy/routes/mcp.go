package routes

import (
	"net/http"

	"github.com/mcpgateway/mcpgateway/proxy/filter"
)

// mcpAction puts together what serves an mcp route. Web pages are judged
// before authentication: a browser sends its preflight request without
// credentials.
func (rt *Router) mcpAction(c *Config, deps Deps) (http.Handler, error) {
	m, err := deps.MCP(c)
	if err != nil {
		return nil, err
	}
	h, err := rt.authenticated(c, deps, withoutAuthorization(m), c.MCP.Resource)
	if err != nil {
		return nil, err
	}
	return edited(c, m.Guard(h)), nil
}

// withoutAuthorization takes the client's credentials off once they were
// judged: the client gave them to the gateway, and to no upstream.
func withoutAuthorization(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		delete(r.Header, "Authorization")
		next.ServeHTTP(w, r)
	})
}

// metadataRoutes are those that tell clients how to get a token for an mcp
// route (RFC 9728 section 3.1): beside its path and, as clients that know the
// host alone ask, at the root. They stand where the route stands, so that of
// several routes of a host the first in file order has the root. They need no
// token, and of the route's conditions only listeners and hosts apply.
func metadataRoutes(c *Config, r *route) []*route {
	if c.MCP == nil || c.MCP.Resource == nil {
		return nil
	}
	handler := edited(c, c.MCP.Resource.Handler())
	at := func(path string) *route {
		return &route{name: r.name, hosts: r.hosts, listeners: r.listeners, exact: path, handler: handler}
	}
	if r.exact == "/" {
		return []*route{at(filter.MetadataPath)}
	}
	return []*route{at(filter.MetadataPath + r.exact), at(filter.MetadataPath)}
}
