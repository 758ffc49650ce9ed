package downstream

import (
	"fmt"
	"net"
	"net/http"
	"slices"

	"github.com/mcpgateway/mcpgateway/internal/hostname"
	"github.com/mcpgateway/mcpgateway/listeners"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
)

// guard keeps web pages out that reach the gateway through a victim's browser.
// With DNS rebinding a page of evil.example sends its requests here as to a
// server of its own: Host and Origin agree, and both name the attacker. So an
// origin that agrees with the Host proves nothing until the Host is one that the
// configuration names, or loopback on a loopback connection (MCP 2025-11-25,
// Transports, Security Warning).
type guard struct {
	hosts   []hostname.Pattern // empty: nothing is configured
	origins map[origin]bool    // empty: nothing is configured
	headers []string           // that pages may send besides the specification's
}

// newGuard returns the guard of a route. hosts are the patterns of hosts that are
// served, and origins those that may call; of none of either there is a default
// that lets no foreign page in. headers are those of clients that go upstream.
func newGuard(hosts, origins, headers []string) (*guard, error) {
	g := &guard{origins: map[origin]bool{}, headers: headers}
	for _, h := range hosts {
		p, err := hostname.ParsePattern(h)
		if err != nil {
			return nil, fmt.Errorf("the host %q %w", h, err)
		}
		g.hosts = append(g.hosts, p)
	}
	for _, text := range origins {
		o, err := parseOrigin(text)
		if err != nil {
			return nil, fmt.Errorf("allowed_origins: %q %w", text, err)
		}
		g.origins[o] = true
	}
	return g, nil
}

// check returns why the request is refused, or "".
func (g *guard) check(r *http.Request) string {
	host, ok := hostname.Canonical(r.Host)
	switch {
	case !ok || len(g.hosts) > 0 && !slices.ContainsFunc(g.hosts, func(p hostname.Pattern) bool { return p.Matches(host) }):
		return "this host is not served here"
	case len(g.hosts) == 0 && overLoopback(r) && !hostname.Loopback(host):
		return "over loopback only loopback names are served; configure allowed_hosts to serve others"
	}
	values := r.Header.Values("Origin")
	switch len(values) {
	case 0:
		return ""
	case 1:
		return g.checkOrigin(r, values[0], host)
	}
	return "this origin may not call here: the request has several Origin headers"
}

// checkOrigin judges the origin of a request whose host may be served.
func (g *guard) checkOrigin(r *http.Request, text, host string) string {
	o, err := parseOrigin(text)
	if err != nil {
		return "this origin may not call here: it is no origin of a web page"
	}
	if len(g.origins) > 0 {
		if !g.origins[o] {
			return "this origin may not call here: allowed_origins of the route does not name it"
		}
		return ""
	}
	// A page that is served by this machine under another port is a program of
	// this machine, which can call without a browser, too.
	if o.web() && o.host == host && hostname.Loopback(host) && overLoopback(r) {
		return ""
	}
	if len(g.hosts) == 0 {
		return "this origin may not call here: the route names no host; configure match.hosts, allowed_hosts or allowed_origins"
	}
	if own, err := parseOrigin(filter.Scheme(r) + "://" + r.Host); err != nil || o != own {
		return "this origin may not call here: it differs from this host in scheme, name or port; configure allowed_origins"
	}
	return ""
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
