package downstream

import (
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

const (
	// exposed are the headers of an answer that pages may read.
	exposed = spec.HeaderSession + ", WWW-Authenticate"
	// paramsEchoed bounds how many headers that repeat arguments of a call, whose
	// names servers choose, are allowed at once.
	paramsEchoed = 64
)

// wrap serves by next, which authenticates, what may come here at all. It
// stands before authentication: a rebound name or a foreign page is refused
// whatever user it speaks for, a browser's preflight has no credentials, and pages
// must be able to read why their call was refused.
func (g *guard) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := exchange{w, r}
		if reason := g.check(r); reason != "" {
			x.refuse(http.StatusForbidden, jsonrpc.ID{}, reason)
			return
		}
		if origin := r.Header.Get("Origin"); origin != "" {
			header := w.Header()
			header.Add("Vary", "Origin")
			header.Set("Access-Control-Allow-Origin", origin)
			if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
				g.preflight(header, r)
				w.WriteHeader(http.StatusNoContent)
				return
			}
			header.Set("Access-Control-Expose-Headers", exposed)
		}
		// MCP 2025-11-25, Authorization, Token Requirements: query strings end
		// up in logs. RFC 6750 section 3.1 names the error.
		if r.URL.Query().Has("access_token") {
			x.info().SetFlag(filter.FlagUnauthorized)
			w.Header()["Www-Authenticate"] = []string{`Bearer error="invalid_request"`}
			x.refuse(http.StatusBadRequest, jsonrpc.ID{}, "a token in the query is not accepted; send it in the Authorization header")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// preflight says what a page may send.
func (g *guard) preflight(header http.Header, r *http.Request) {
	allow := slices.Concat([]string{
		"Accept", "Authorization", "Content-Type", spec.HeaderLastEventID, spec.HeaderMethod, spec.HeaderName, spec.HeaderVersion, spec.HeaderSession,
	}, g.headers)
	echoed := 0
	for name := range strings.SplitSeq(strings.Join(r.Header.Values("Access-Control-Request-Headers"), ","), ",") {
		name = strings.TrimSpace(name)
		if echoed < paramsEchoed && strings.HasPrefix(http.CanonicalHeaderKey(name), spec.HeaderParam) && httpguts.ValidHeaderFieldName(name) {
			allow = append(allow, name)
			echoed++
		}
	}
	header.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
	header.Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
	header.Set("Access-Control-Allow-Headers", strings.Join(allow, ", "))
	header.Set("Access-Control-Max-Age", filter.PreflightAge)
}
