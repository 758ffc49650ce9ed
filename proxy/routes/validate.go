package routes

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/mcpgateway/mcpgateway/internal/hostname"
	"github.com/mcpgateway/mcpgateway/proxy/config"
)

// Validate wants exactly one action, with settings that apply to it. It gives
// a route without a name that of its path.
func (c *Config) Validate(s *config.Scope) {
	c.applyName()
	var all, given []string
	for _, a := range actions {
		all = append(all, a.key)
		// A block that did not decode is nil, and was meant nevertheless.
		if a.given(c) || s.IsSet(a.key) {
			given = append(given, a.key)
		}
	}
	switch len(given) {
	case 0:
		s.Errorf("", "no action; give one of %s", strings.Join(all, ", "))
	case 1:
		c.validateAction(s, given[0])
	default:
		s.Errorf(given[1], "a second action beside %s; a route has exactly one", given[0])
	}
}

func (c *Config) applyName() {
	if c.Name == "" {
		c.Name = c.Match.label()
	}
}

func (c *Config) validateAction(s *config.Scope, action string) {
	if action == "mcp" && c.Match.Path == "" && !s.IsSet("match.path") {
		s.Errorf("match", "an mcp route needs an exact path: one MCP endpoint is one URL")
	}
	if action == "mcp" && c.MCP != nil && c.MCP.Resource != nil {
		c.validateResource(s)
	}
	if c.MCP != nil {
		c.validatePaths(s)
	}
	if action == "cluster" {
		if c.Cluster == "" {
			s.Errorf("cluster", "names no cluster")
		}
		if c.Rewrite.PathPrefix != "" && c.Match.Path == "" && c.Match.PathPrefix == "" {
			s.Errorf("rewrite.path_prefix", "replaces match.path or match.path_prefix, and neither is given")
		}
		return
	}
	for _, field := range []string{"timeout", "stream_idle_timeout", "retry", "rewrite", "request_headers"} {
		if s.IsSet(field) {
			s.Errorf(field, "does not apply to %s; it belongs to routes with a cluster", action)
		}
	}
}

// validateResource refuses a route that tells clients how to get a token and
// accepts none.
func (c *Config) validateResource(s *config.Scope) {
	if (c.Auth == nil || c.Auth.JWT == nil) && !s.IsSet("auth.jwt") {
		s.Errorf("mcp.resource", "tells clients how to get a token, but the route asks for none; give it auth.jwt")
	}
	u, err := url.Parse(c.MCP.Resource.URL)
	if err != nil || u.Host == "" || c.Match.Path == "" {
		return
	}
	if strings.TrimSuffix(u.Path, "/") != strings.TrimSuffix(c.Match.Path, "/") {
		s.Warnf("mcp.resource.url", "its path is not the route's %s; unless something before the gateway changes paths, clients will not find the metadata", c.Match.Path)
	}
}

// validatePaths checks the paths that an mcp route has beside match.path.
func (c *Config) validatePaths(s *config.Scope) {
	taken := map[string]string{c.Match.Path: "match.path"}
	paths := c.MCP.Paths()
	for _, field := range slices.Sorted(maps.Keys(paths)) {
		for _, path := range paths[field] {
			why := configuredPath(path)
			if why == "" && strings.HasSuffix(path, "/") {
				why = "must not end with a slash"
			}
			if why != "" {
				s.Errorf("mcp."+field, "%q %s", path, why)
				break
			}
			if by, dup := taken[path]; dup {
				s.Errorf("mcp."+field, "%q is the path of %s already", path, by)
				break
			}
			taken[path] = "mcp." + field
		}
	}
}

// label is the name of a route that has none.
func (m *Match) label() string {
	switch {
	case m.Path != "":
		return m.Path
	case m.PathPrefix != "":
		return m.PathPrefix
	case len(m.Hosts) > 0:
		return m.Hosts[0]
	}
	return "/"
}

// Validate checks each condition by itself.
func (m *Match) Validate(s *config.Scope) {
	if m.Path == "" && m.PathPrefix == "" && len(m.Hosts)+len(m.Methods)+len(m.Headers) == 0 {
		s.Errorf("", "asks for nothing; path_prefix: / matches every request")
	}
	if m.Path != "" && m.PathPrefix != "" {
		s.Errorf("path_prefix", "stands beside path; give one of them")
	}
	checkPath(s, "path", m.Path)
	checkPath(s, "path_prefix", m.PathPrefix)
	for i, h := range m.Hosts {
		if _, err := hostname.ParsePattern(h); err != nil {
			s.Errorf(fmt.Sprintf("hosts[%d]", i), "%q %v", h, err)
		}
	}
	for i, name := range m.Methods {
		switch at := fmt.Sprintf("methods[%d]", i); {
		case !httpguts.ValidHeaderFieldName(name):
			s.Errorf(at, "%q is not a method", name)
		case name != strings.ToUpper(name):
			s.Errorf(at, "methods are case-sensitive; did you mean %q?", strings.ToUpper(name))
		case name == http.MethodConnect || name == http.MethodTrace:
			s.Errorf(at, "%s is never served", name)
		}
	}
}

// checkPath reports a path that no request could have; the empty one is not given.
func checkPath(s *config.Scope, field, path string) {
	if path == "" {
		return
	}
	if why := configuredPath(path); why != "" {
		s.Errorf(field, "%q %s", path, why)
	}
}

// checkRealHost reports a host that is none; the empty one is not given.
func checkRealHost(s *config.Scope, host string) {
	if _, ok := hostname.Canonical(host); !ok && host != "" {
		s.Errorf("host", "%q is not a host", host)
	}
}

// configuredPath says why no request could have such a path, or "".
func configuredPath(path string) string {
	switch {
	case path[0] != '/':
		return "must begin with a slash"
	case strings.ContainsAny(path, "?#"):
		return "is more than a path"
	case strings.Contains(path, "%"):
		return "is percent-encoded; write the characters themselves"
	case !cleanPath(path):
		return "can never match: control characters, backslashes, empty and dot segments are refused before matching"
	}
	return ""
}

// Validate wants exactly one condition.
func (m *HeaderMatch) Validate(s *config.Scope) {
	if m.Name != "" && !httpguts.ValidHeaderFieldName(m.Name) {
		s.Errorf("name", "%q is not a header name", m.Name)
	}
	if strings.EqualFold(m.Name, "Host") {
		s.Errorf("name", "Host is matched by match.hosts")
	}
	conditions := 0
	for _, field := range []string{"exact", "prefix", "regex", "present"} {
		if s.IsSet(field) {
			conditions++
		}
	}
	if conditions != 1 {
		s.Errorf("", "needs exactly one of exact, prefix, regex, present")
	}
	for _, f := range []struct{ field, value string }{{"exact", m.Exact}, {"prefix", m.Prefix}, {"regex", m.Regex}} {
		if f.value == "" && s.IsSet(f.field) {
			s.Errorf(f.field, "is empty; present: true asks for any value")
		}
	}
	if _, err := regexp.Compile(m.Regex); err != nil {
		s.Errorf("regex", "%v", err)
	}
}

// Validate refuses a redirect that changes nothing, and parts that fit no URL.
func (r *Redirect) Validate(s *config.Scope) {
	if r.Scheme == "" && r.Host == "" && r.Path == "" {
		s.Errorf("", "sends the client to where it came from; give scheme, host or path")
	}
	if r.Path != "" && (r.Path[0] != '/' || strings.HasPrefix(r.Path, "//") || !printable(r.Path)) {
		s.Errorf("path", "%q must begin with one slash, and be percent-encoded", r.Path)
	}
	checkRealHost(s, r.Host)
	if !slices.Contains([]int{301, 302, 303, 307, 308}, r.Status) {
		s.Errorf("status", "%d is no redirect; 301, 302, 303, 307 and 308 are", r.Status)
	}
}

// Validate refuses a body where HTTP has none.
func (r *Respond) Validate(s *config.Scope) {
	if r.Body != "" && (r.Status == http.StatusNoContent || r.Status == http.StatusNotModified) {
		s.Errorf("body", "an answer %d has no body", r.Status)
	}
	if !httpguts.ValidHeaderFieldValue(r.ContentType) {
		s.Errorf("content_type", "%q is not a header value", r.ContentType)
	}
}

// Validate checks the conditions.
func (r *Retry) Validate(s *config.Scope) {
	for i, on := range r.RetryOn {
		code, err := strconv.Atoi(on)
		if on != "connect_failure" && on != "reset" && (err != nil || code < 500 || code > 599) {
			s.Errorf(fmt.Sprintf("retry_on[%d]", i), "%q is none of connect_failure, reset and the status codes 500 to 599", on)
		}
	}
	if r.PerTryTimeout > 0 && r.Attempts == 1 {
		s.Warnf("per_try_timeout", "has an effect only with attempts above 1")
	}
}

// Validate checks what would be sent upstream.
func (r *Rewrite) Validate(s *config.Scope) {
	checkPath(s, "path_prefix", r.PathPrefix)
	checkRealHost(s, r.Host)
}

// Validate refuses what HTTP itself decides.
func (e *HeaderEdits) Validate(s *config.Scope) {
	for _, m := range []struct {
		field  string
		values map[string]string
	}{{"set", e.Set}, {"add", e.Add}} {
		for _, name := range slices.Sorted(maps.Keys(m.values)) {
			field := m.field + "." + name
			if why := editable(name); why != "" {
				s.Errorf(field, "%s", why)
			} else if !httpguts.ValidHeaderFieldValue(m.values[name]) {
				s.Errorf(field, "%q is not a header value", m.values[name])
			}
		}
	}
	for i, name := range e.Remove {
		if why := editable(name); why != "" {
			s.Errorf(fmt.Sprintf("remove[%d]", i), "%s", why)
		}
	}
}

// editable says why a header field is not to be edited, or "".
func editable(name string) string {
	canonical := http.CanonicalHeaderKey(name)
	switch {
	case !httpguts.ValidHeaderFieldName(name):
		return fmt.Sprintf("%q is not a header name", name)
	case canonical == "Host":
		return "Host is changed by rewrite.host"
	case hopByHop(canonical) || canonical == "Content-Length":
		return canonical + " belongs to the connection and cannot be edited"
	}
	return ""
}
