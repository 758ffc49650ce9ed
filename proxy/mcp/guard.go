package mcp

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/mcpgateway/mcpgateway/listeners"
)

// guard keeps web pages out that reach the gateway through a victim's
// browser. The Host is judged first: with DNS rebinding it is the only header
// that still names the attacker (MCP 2025-11-25, Transports, Security Warning).
type guard struct {
	hosts   []string // lower case; empty: nothing is configured
	origins []string // lower case
}

func newGuard(cfg *Config, matchHosts []string) guard {
	hosts := cfg.AllowedHosts
	if len(hosts) == 0 {
		hosts = matchHosts
	}
	var g guard
	for _, h := range hosts {
		g.hosts = append(g.hosts, strings.ToLower(h))
	}
	for _, o := range cfg.AllowedOrigins {
		g.origins = append(g.origins, strings.ToLower(o))
	}
	return g
}

// check returns why the request is refused, or "".
func (g *guard) check(r *http.Request) string {
	host := hostname(r.Host)
	switch {
	case len(g.hosts) > 0:
		if !g.allowed(host) {
			return "this host is not served here"
		}
	case overLoopback(r) && !loopbackName(host):
		return "over loopback only loopback names are served; configure allowed_hosts to serve others"
	}
	values := r.Header.Values("Origin")
	if len(values) == 0 {
		return ""
	}
	if len(values) > 1 || !g.originAllowed(strings.ToLower(values[0]), host) {
		return "this origin may not call here"
	}
	return ""
}

func (g *guard) allowed(host string) bool {
	for _, pattern := range g.hosts {
		pattern = hostname(pattern)
		if suffix, wild := strings.CutPrefix(pattern, "*"); wild && strings.HasSuffix(host, suffix) && len(host) > len(suffix) {
			return true
		}
		if pattern == host {
			return true
		}
	}
	return false
}

func (g *guard) originAllowed(origin, host string) bool {
	if len(g.origins) > 0 {
		for _, o := range g.origins {
			if o == origin {
				return true
			}
		}
		return false
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") && hostname(u.Host) == host
}

// hostname is the lower-case name of a Host header, without port and brackets.
func hostname(hostport string) string {
	name := strings.ToLower(hostport)
	if h, _, err := net.SplitHostPort(name); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	return strings.TrimSuffix(name, ".")
}

func loopbackName(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// overLoopback reports whether either end of the connection is this machine's
// loopback: that is where a rebound name leads to.
func overLoopback(r *http.Request) bool {
	if conn := listeners.FromContext(r.Context()); conn != nil && conn.RemoteAddr().Addr().Unmap().IsLoopback() {
		return true
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ok && local.IP.IsLoopback()
}
