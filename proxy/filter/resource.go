package filter

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/mcpgateway/mcpgateway/internal/hostname"
	"github.com/mcpgateway/mcpgateway/proxy/config"
)

// MetadataPath is where clients look for the metadata of a protected resource:
// there, or with the path of the resource behind it (RFC 9728 section 3.1).
const MetadataPath = "/.well-known/oauth-protected-resource"

// PreflightAge is how long, in seconds, a browser need not ask again what a page
// may send.
const PreflightAge = "600"

// Resource makes a route a protected resource in the sense of OAuth 2.0 (RFC
// 9728): clients that have no token learn where to get one. What they are told
// comes from here, never from the request, whose Host any client can choose.
type Resource struct {
	URL                  string   `yaml:"url" required:"true" example:"https://mcp.example.com/mcp" doc:"The endpoint as clients write it: what a token is for."`
	AuthorizationServers []string `yaml:"authorization_servers" required:"true" example:"[\"https://login.example.com\"]" doc:"Issuers of tokens."`
	Scopes               []string `yaml:"scopes" example:"[mcp:tools]" doc:"A token must have all of these in its claim scope or scp. Empty: none."`
}

// Validate checks what clients will take for URLs and scopes.
func (res *Resource) Validate(s *config.Scope) {
	if res.URL != "" {
		if why := resourceURL(res.URL); why != "" {
			s.Errorf("url", "%q %s", res.URL, why)
		}
	}
	// MCP 2025-11-25, Authorization: at least one.
	if len(res.AuthorizationServers) == 0 && s.IsSet("authorization_servers") {
		s.Errorf("authorization_servers", "names none; clients need one to get a token from")
	}
	for i, server := range res.AuthorizationServers {
		if why := resourceURL(server); why != "" {
			s.Errorf(fmt.Sprintf("authorization_servers[%d]", i), "%q %s", server, why)
		}
	}
	for i, scope := range res.Scopes {
		if !plainText(scope) {
			s.Errorf(fmt.Sprintf("scopes[%d]", i), "%q is not a scope: printable ASCII without spaces, quotes and backslashes, one scope an item", scope)
		}
	}
}

// resourceURL says why a URL can be neither a resource's nor an issuer's (RFC
// 9728 section 1.2, RFC 8414 section 2), or "".
func resourceURL(raw string) string {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return "is not a URL of scheme https"
	case u.Scheme == "http" && !hostname.Loopback(strings.ToLower(u.Hostname())):
		return "must be https; plain http is for loopback only"
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(raw, "#"):
		return "must have neither user, query nor fragment"
	case strings.ContainsAny(raw, "\"\\"):
		return "holds a quote or a backslash"
	}
	return ""
}

// plainText reports whether s is printable ASCII without spaces, quotes and
// backslashes, as a scope is (RFC 6749 section 3.3).
func plainText(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '"' || c == '\\' })
}

// MetadataURL is where the metadata of this resource stands: the well-known
// path goes between host and path (RFC 9728 section 3.1).
func (res *Resource) MetadataURL() string {
	u, err := url.Parse(res.URL)
	if err != nil {
		return ""
	}
	path := u.EscapedPath()
	if path == "/" {
		path = ""
	}
	return u.Scheme + "://" + u.Host + MetadataPath + path
}

// Handler serves the metadata. Pages of every origin may read it: it holds
// nothing but what a client needs before it has a token.
func (res *Resource) Handler() http.Handler {
	body, _ := json.Marshal(struct { // strings always encode
		Resource string   `json:"resource"`
		Servers  []string `json:"authorization_servers"`
		Scopes   []string `json:"scopes_supported,omitempty"`
		Methods  []string `json:"bearer_methods_supported"`
	}{res.URL, res.AuthorizationServers, res.Scopes, []string{"header"}})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			h.Set("Content-Type", "application/json")
			h.Set("Content-Length", strconv.Itoa(len(body)))
			h.Set("X-Content-Type-Options", "nosniff")
			_, _ = w.Write(body) // a client that is gone needs no answer
		case http.MethodOptions:
			// Clients send Mcp-Protocol-Version here too, which browsers ask about.
			h.Set("Access-Control-Allow-Methods", "GET")
			h.Set("Access-Control-Allow-Headers", "*")
			h.Set("Access-Control-Max-Age", PreflightAge)
			w.WriteHeader(http.StatusNoContent)
		default:
			h.Set("Allow", "GET, HEAD, OPTIONS")
			w.WriteHeader(http.StatusMethodNotAllowed)
		}
	})
}

// challenge is what WWW-Authenticate says (RFC 6750 section 3, RFC 9728
// section 5.1). why stands only where a token was presented.
func (res *Resource) challenge(why string) string {
	var params []string
	if res == nil {
		params = append(params, `realm="mcpgateway"`)
	}
	if why != "" {
		params = append(params, `error="`+why+`"`)
	}
	if res != nil {
		params = append(params, `resource_metadata="`+res.MetadataURL()+`"`)
		if len(res.Scopes) > 0 {
			params = append(params, `scope="`+strings.Join(res.Scopes, " ")+`"`)
		}
	}
	return "Bearer " + strings.Join(params, ", ")
}

// missing are the scopes that were not granted.
func (res *Resource) missing(granted []string) []string {
	if res == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(res.Scopes), func(s string) bool { return slices.Contains(granted, s) })
}
