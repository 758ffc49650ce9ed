package routes

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/mcpgateway/mcpgateway/listeners"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/tls"
)

// setForwarded tells the upstream where a request came from. h holds what the
// client sent. What it says about the client is passed on only from a trusted
// proxy: other clients could claim another address.
func setForwarded(h http.Header, r *http.Request) {
	conn := listeners.FromContext(r.Context())
	believed := filter.FromTrustedProxy(r)
	if !believed {
		for name := range h {
			if aboutClient(name) {
				delete(h, name)
			}
		}
	}
	// This field is taken from no peer: proxies that append to X-Forwarded-For pass it
	// on as it came, so that their clients could claim any identity.
	delete(h, tls.ForwardedHeader)
	if peer := peerAddr(conn, r); peer != "" {
		if earlier := h["X-Forwarded-For"]; len(earlier) > 0 {
			peer = strings.Join(earlier, ", ") + ", " + peer
		}
		h["X-Forwarded-For"] = []string{peer}
	}
	setAbsent(h, "X-Forwarded-Proto", filter.Scheme(r))
	setAbsent(h, "X-Forwarded-Host", r.Host)
	if conn != nil && conn.LocalAddr().IsValid() {
		setAbsent(h, "X-Forwarded-Port", strconv.Itoa(int(conn.LocalAddr().Port())))
	}
	if conn != nil {
		if identity := conn.ForwardedIdentity(); identity != "" {
			h[tls.ForwardedHeader] = []string{identity}
		}
	}
	if id := filter.RequestInfoFrom(r.Context()).RequestID(); id != "" {
		h["X-Request-Id"] = []string{id}
	}
}

// aboutClient reports whether a field says who the client is, or where it came
// from.
func aboutClient(name string) bool {
	return name == "Forwarded" || name == "X-Real-Ip" || name == "X-Request-Id" || strings.HasPrefix(name, "X-Forwarded-")
}

func setAbsent(h http.Header, name, value string) {
	if len(h[name]) == 0 {
		h[name] = []string{value}
	}
}

// peerAddr is the address at the other end of the connection; a unix socket
// has none.
func peerAddr(conn *listeners.Conn, r *http.Request) string {
	if conn == nil {
		return withoutPort(r.RemoteAddr)
	}
	if addr := conn.RemoteAddr().Addr(); addr.IsValid() {
		return addr.Unmap().String()
	}
	return ""
}
