package downstream

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/mcpgateway/mcpgateway/listeners"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/tls"
)

// neverForwarded are the headers that are ours on each hop, or that hold the
// client's credentials for the gateway.
var neverForwarded = []string{
	"Accept", "Authorization", "Connection", "Content-Length", "Content-Type", "Cookie", "Host", "Keep-Alive",
	"Last-Event-Id", "Origin", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// CheckForwarded says why a configured header cannot go upstream.
func CheckForwarded(name string) error {
	switch canonical := http.CanonicalHeaderKey(name); {
	case !httpguts.ValidHeaderFieldName(name):
		return fmt.Errorf("%q is not a header name", name)
	case slices.Contains(neverForwarded, canonical) || strings.HasPrefix(canonical, "Mcp-"):
		return errors.New(canonical + " belongs to this hop and never goes upstream")
	}
	return nil
}

// forwarded returns what of the client's headers goes upstream: those of the
// canonical names, and those that repeat a tool's arguments. Its credentials are
// for the gateway and do not.
func forwarded(r *http.Request, names []string) http.Header {
	out := http.Header{}
	for _, name := range names {
		if values := r.Header[name]; len(values) > 0 {
			out[name] = values
		}
	}
	for name, values := range r.Header {
		// Those that the server does not know are for others on the way.
		if strings.HasPrefix(name, spec.HeaderParam) {
			out[name] = values
		}
	}
	delete(out, tls.ForwardedHeader) // the gateway alone sets it
	if conn := listeners.FromContext(r.Context()); conn != nil {
		if identity := conn.ForwardedIdentity(); identity != "" {
			out[tls.ForwardedHeader] = []string{identity}
		}
	}
	return out
}
