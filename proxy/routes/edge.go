package routes

import (
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/mcpgateway/mcpgateway/internal/hostname"
)

// refusal is an answer given before any route is looked at.
type refusal struct {
	status        int
	code, message string
	allow         string
	// peculiar is why, where a route may let it pass; 0 where none may.
	peculiar peculiarity
}

func bad(code, message string) *refusal {
	return &refusal{status: http.StatusBadRequest, code: code, message: message}
}

const allowed = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

// checkEdge refuses a request that the gateway and an upstream might read in
// different ways (RFC 9112 section 11.2, RFC 9113 section 8.2.1; Envoy,
// "Configuring Envoy as an edge proxy"). It returns the canonical host of a
// request that passes, or that a route may let pass. What net/http refuses on its
// own (several Host fields, spaces in names, conflicting lengths) does not get
// here; an authority in the request line replaces the Host field there (RFC
// 9112 section 3.2.2).
func checkEdge(r *http.Request) (host string, refused *refusal) {
	if r.Method == http.MethodTrace || r.Method == http.MethodConnect {
		return "", &refusal{status: http.StatusMethodNotAllowed, code: "method_not_allowed", message: r.Method + " is not served", allow: allowed}
	}
	if !httpguts.ValidHeaderFieldName(r.Method) { // a method is a token, too
		return "", bad("invalid_method", "the method is not a token")
	}
	if host, refused = checkHost(r); refused != nil {
		return "", refused
	}
	odd, refused := checkTarget(r)
	if refused != nil {
		return "", refused
	}
	if r.ProtoMajor > 1 && !lengthHolds(r) {
		return "", bad("invalid_content_length", "content-length is no number, or not how long the body is")
	}
	for _, fields := range [...]http.Header{r.Header, r.Trailer} {
		for name := range fields {
			// X-User and X_User are one variable to CGI and its heirs.
			if strings.IndexByte(name, '_') >= 0 {
				odd |= underscoreNames
			}
		}
	}
	if odd != 0 {
		return host, odd.refusal()
	}
	return host, nil
}

// refusal is the answer where no route lets it pass.
func (p peculiarity) refusal() *refusal {
	refused := bad("invalid_header_name", "the name of a header or trailer field has an underscore")
	switch {
	case p&encodedSlashes != 0:
		refused = bad("invalid_path", "the path has a percent-encoded slash")
	case p&emptySegments != 0:
		refused = bad("invalid_path", "the path has an empty segment")
	}
	refused.peculiar = p
	return refused
}

func checkHost(r *http.Request) (string, *refusal) {
	if r.Host == "" {
		return "", bad("missing_host", "the request names no host")
	}
	host, ok := hostname.Canonical(r.Host)
	if !ok {
		return "", bad("invalid_host", "the host is not a plain name or address")
	}
	// HTTP/2 leaves a Host field beside :authority to us; they must agree
	// (RFC 9113 section 8.3.1).
	if fields := r.Header["Host"]; len(fields) > 0 {
		if len(fields) > 1 || !strings.EqualFold(fields[0], r.Host) {
			return "", bad("ambiguous_host", "the Host field differs from the authority")
		}
	}
	return host, nil
}

func checkTarget(r *http.Request) (peculiarity, *refusal) {
	// HTTP/2 can carry what would end a request line or begin a fragment.
	if !printable(r.RequestURI) || strings.IndexByte(r.RequestURI, '#') >= 0 {
		return 0, bad("invalid_target", "the request target has characters that must be percent-encoded")
	}
	if asterisk(r) {
		return 0, nil
	}
	path, odd := r.URL.Path, peculiarity(0)
	if raw := r.URL.RawPath; encodedSlash(raw) {
		path, odd = raw, encodedSlashes
	}
	if !cleanPath(mergeSlashes(r.URL.Path)) || path[0] != '/' {
		return 0, bad("invalid_path", "the path has a dot segment, a backslash or a control character")
	}
	// What url.URL encodes anew has its slashes decoded.
	if odd != 0 && r.URL.EscapedPath() != path {
		return 0, bad("invalid_target", "the request target has characters that must be percent-encoded")
	}
	if strings.Contains(path, "//") {
		odd |= emptySegments
	}
	return odd, nil
}

// asterisk reports whether a request asks what the server as a whole can do (RFC
// 9110 section 9.3.7), which no route decides.
func asterisk(r *http.Request) bool { return r.Method == http.MethodOptions && r.RequestURI == "*" }

// lengthHolds reports whether Content-Length is as the listener found the body
// to be. HTTP/2 takes any value for the header, and a stream may end sooner or
// later than it says; HTTP/1.1 is framed by it.
func lengthHolds(r *http.Request) bool {
	lengths := r.Header["Content-Length"]
	if len(lengths) == 0 {
		return true
	}
	n, err := strconv.ParseUint(lengths[0], 10, 63)
	return len(lengths) == 1 && err == nil && int64(n) == r.ContentLength
}

// printable reports whether s has neither spaces nor control characters.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// encodedSlash finds %2F. A path that holds one always has a RawPath.
func encodedSlash(raw string) bool {
	return strings.Contains(raw, "%2F") || strings.Contains(raw, "%2f")
}

// cleanPath reports whether every server reads a decoded path in the same way: it
// begins with a slash, and has no empty segment but the last, no dot segment,
// also not one with a parameter behind it (/..;x/, which some servers cut off
// first), no backslash and no control character.
func cleanPath(path string) bool {
	if path == "" || path[0] != '/' {
		return false
	}
	start := 1
	for i := 1; i <= len(path); i++ {
		if i < len(path) && path[i] != '/' {
			if c := path[i]; c < ' ' || c == 0x7f || c == '\\' {
				return false
			}
			continue
		}
		segment := path[start:i]
		if segment == "" && i < len(path) {
			return false
		}
		if len(segment) > 0 && segment[0] == '.' {
			name, _, _ := strings.Cut(segment, ";")
			if name == "." || name == ".." {
				return false
			}
		}
		start = i + 1
	}
	return true
}
