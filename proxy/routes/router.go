package routes

import (
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp"
)

// Deps is what the routes of a generation need from the rest of it.
type Deps struct {
	// Clusters are the generation's.
	Clusters *clusters.Set
	// MCP makes the handler of a route with the action mcp.
	MCP func(route *Config) (*mcp.Handler, error)
	// Memory is what bodies are charged to; nil has no limit.
	Memory *memory.Budget
	// Ready answers for health: ready. Nil is always ready.
	Ready func() bool
	// AuthTrace is told what authentication does in the background. May be nil.
	AuthTrace *filter.AuthTrace
	// Previous is the Router before this one, not closed yet; what did not
	// change is carried over from it. Nil at the start.
	Previous *Router

	buffers *sync.Pool // of the generation's forwarders
}

// Router is one generation's routes.
type Router struct {
	tables map[string]*table
	rest   *table // of a listener that no route names
	auths  authSet
}

// NewRouter prepares the routes of a generation; cfgs passed Validate. On an
// error it has released what it had taken.
func NewRouter(cfgs []Config, deps Deps) (*Router, error) {
	rt := &Router{tables: map[string]*table{}, auths: authSet{}}
	routes, err := rt.build(cfgs, deps)
	if err != nil {
		rt.Close()
		return nil, err
	}
	for _, r := range routes {
		for _, name := range r.listeners {
			if rt.tables[name] == nil {
				rt.tables[name] = newTable(routes, name)
			}
		}
	}
	rt.rest = newTable(routes, "")
	return rt, nil
}

func (rt *Router) build(cfgs []Config, deps Deps) ([]*route, error) {
	deps.buffers = &sync.Pool{New: func() any { return new([copyBuffer]byte) }}
	var routes []*route
	for i := range cfgs {
		c := &cfgs[i]
		c.applyName()
		r, err := compile(c)
		if err == nil {
			r.excuses = newExcuses(c, deps.Clusters)
			r.handler, err = rt.action(c, deps)
		}
		if err != nil {
			return nil, fmt.Errorf("route %s: %w", c.Name, err)
		}
		routes = append(append(routes, r), metadataRoutes(c, r)...)
	}
	return routes, nil
}

// action puts together what serves a route: its edits, its auth, its action.
func (rt *Router) action(c *Config, deps Deps) (http.Handler, error) {
	for _, a := range actions {
		if a.given(c) {
			return a.build(rt, c, deps)
		}
	}
	return nil, errors.New("no action")
}

// authenticated leaves to h what the route's auth lets pass, if it has one.
func (rt *Router) authenticated(c *Config, deps Deps, h http.Handler, resource *filter.Resource) (http.Handler, error) {
	if c.Auth == nil {
		return h, nil
	}
	a, err := rt.auths.get(c.Auth, deps)
	if err != nil {
		return nil, err
	}
	return a.Wrap(h, resource), nil
}

// edited makes the route's edits on what h answers.
func edited(c *Config, h http.Handler) http.Handler {
	if edits := compileEdits(&c.ResponseHeaders); !edits.empty() {
		return editAnswers(h, edits)
	}
	return h
}

// Handler serves the requests of one listener. It is cheap enough to be called
// for every request.
func (rt *Router) Handler(listener string) http.Handler {
	if t, ok := rt.tables[listener]; ok {
		return t
	}
	return rt.rest
}

// Close gives back what the Router shares with others. Requests in flight go
// on. It must be called once.
func (rt *Router) Close() { rt.auths.release() }
