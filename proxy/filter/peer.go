package filter

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/mcpgateway/mcpgateway/listeners"
)

// FromTrustedProxy reports whether the request came over a connection from one
// of its listener's trusted_proxies, whose X-Forwarded-* are believed.
func FromTrustedProxy(r *http.Request) bool {
	conn := listeners.FromContext(r.Context())
	return conn != nil && conn.TrustsProxy(conn.RemoteAddr().Addr())
}

// Scheme is the scheme that the client used, by the word of a trusted proxy where
// there is one.
func Scheme(r *http.Request) string {
	secure := r.TLS != nil
	if conn := listeners.FromContext(r.Context()); conn != nil {
		secure = conn.TLS() != nil
	}
	if FromTrustedProxy(r) {
		switch proto := r.Header.Get("X-Forwarded-Proto"); proto {
		case "http", "https":
			return proto
		}
	}
	if secure {
		return "https"
	}
	return "http"
}

// ClientAddr is the address that the request came from: the connection's, or,
// when that is a trusted proxy, the rightmost address of X-Forwarded-For that
// is not. Everything left of that one is the client's own claim. The zero Addr
// means a unix socket.
func ClientAddr(r *http.Request) netip.Addr {
	conn := listeners.FromContext(r.Context())
	if conn == nil {
		peer, _ := netip.ParseAddrPort(r.RemoteAddr)
		return peer.Addr().Unmap()
	}
	client := conn.RemoteAddr().Addr().Unmap()
	if !conn.TrustsProxy(client) {
		return client
	}
	lines := r.Header["X-Forwarded-For"]
	for i := len(lines) - 1; i >= 0; i-- {
		for rest := lines[i]; rest != ""; {
			var last string
			if comma := strings.LastIndexByte(rest, ','); comma >= 0 {
				rest, last = rest[:comma], rest[comma+1:]
			} else {
				rest, last = "", rest
			}
			hop, ok := parseHop(strings.TrimSpace(last))
			if !ok {
				return client
			}
			client = hop
			if !conn.TrustsProxy(client) {
				return client
			}
		}
	}
	return client
}

// parseHop reads one element of X-Forwarded-For. Some proxies append a port.
func parseHop(s string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return a.Unmap(), true
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap(), true
	}
	return netip.Addr{}, false
}
