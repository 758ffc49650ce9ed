package routes

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/mcpgateway/mcpgateway/internal/hostname"
)

// route is one entry of the file, ready to serve.
type route struct {
	name      string
	hosts     []hostname.Pattern
	exact     string   // the whole path, or
	also      []string // whole paths beside it, of an mcp route
	prefix    string   // its first segments, without final slash; "/" is any
	methods   []string
	headers   []headerRule
	listeners []string
	excuses   excuses
	handler   http.Handler
}

type headerRule struct {
	name    string
	test    func(value string) bool // nil: only presence counts
	present bool
}

// compile prepares the matching of a route.
func compile(c *Config) (*route, error) {
	m := &c.Match
	rt := &route{name: c.Name, exact: m.Path, methods: c.methods(), also: c.OtherPaths()}
	if !slices.Contains(c.Listeners, "all") {
		rt.listeners = c.Listeners
	}
	if m.Path == "" {
		rt.prefix = m.prefix()
	}
	for _, h := range m.Hosts {
		p, err := hostname.ParsePattern(h)
		if err != nil {
			return nil, fmt.Errorf("match.hosts: %q %w", h, err)
		}
		rt.hosts = append(rt.hosts, p)
	}
	for _, h := range m.Headers {
		rule := headerRule{name: http.CanonicalHeaderKey(h.Name), present: true}
		switch {
		case h.Exact != "":
			rule.test = func(v string) bool { return v == h.Exact }
		case h.Prefix != "":
			rule.test = func(v string) bool { return strings.HasPrefix(v, h.Prefix) }
		case h.Regex != "":
			re, err := regexp.Compile(`^(?:` + h.Regex + `)$`)
			if err != nil {
				return nil, fmt.Errorf("match.headers: %w", err)
			}
			rule.test = re.MatchString
		default:
			rule.present = h.Present
		}
		rt.headers = append(rt.headers, rule)
	}
	return rt, nil
}

// OtherPaths are those that an mcp route serves beside match.path, in any order.
func (c *Config) OtherPaths() []string {
	if c.MCP == nil {
		return nil
	}
	return slices.Concat(slices.Collect(maps.Values(c.MCP.Paths()))...)
}

// methods are those that the route matches; none is any.
func (c *Config) methods() []string {
	if c.MCP == nil || len(c.Match.Methods) == 0 {
		return c.Match.Methods
	}
	return append(slices.Clone(c.Match.Methods), http.MethodOptions) // browsers ask before they call
}

// prefix is path_prefix in its one form: /api and /api/ are the same whole segments.
func (m *Match) prefix() string { return "/" + strings.Trim(m.PathPrefix, "/") }

// serves reports whether the route belongs to the listener.
func (rt *route) serves(listener string) bool {
	return len(rt.listeners) == 0 || slices.Contains(rt.listeners, listener)
}

// matches reports whether everything but the method fits. It does not
// allocate; the conditions come first that are cheap and exclude most requests.
func (rt *route) matches(r *http.Request, host string) bool {
	return rt.matchesPath(r.URL.Path) && rt.matchesHost(host) && rt.matchesHeaders(r.Header)
}

func (rt *route) matchesMethod(method string) bool {
	return len(rt.methods) == 0 || slices.Contains(rt.methods, method)
}

func (rt *route) matchesPath(path string) bool {
	if rt.exact != "" {
		return path == rt.exact || len(rt.also) > 0 && slices.Contains(rt.also, path)
	}
	return underPrefix(path, rt.prefix)
}

// underPrefix reports whether prefix, in its one form, is the first segments of path.
func underPrefix(path, prefix string) bool {
	if !strings.HasPrefix(path, prefix) {
		return false
	}
	return prefix == "/" || len(path) == len(prefix) || path[len(prefix)] == '/'
}

func (rt *route) matchesHost(host string) bool {
	return len(rt.hosts) == 0 || slices.ContainsFunc(rt.hosts, func(p hostname.Pattern) bool { return p.Matches(host) })
}

func (rt *route) matchesHeaders(h http.Header) bool {
	for i := range rt.headers {
		rule := &rt.headers[i]
		values := h[rule.name]
		if rule.test == nil {
			if (len(values) > 0) != rule.present {
				return false
			}
		} else if !slices.ContainsFunc(values, rule.test) {
			return false
		}
	}
	return true
}
