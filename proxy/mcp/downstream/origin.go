package downstream

import (
	"errors"
	"strings"

	"github.com/mcpgateway/mcpgateway/internal/hostname"
)

// origin is a web origin (RFC 6454): what is of one scheme, host and port. Origins
// can be compared with ==.
type origin struct {
	scheme string
	// host is canonical where the scheme is http or https. Other schemes, such as
	// those of browser extensions, have hosts of their own kind.
	host string
	// port has digits only; that of the scheme where the origin names none.
	port string
}

// CheckOrigin says what is wrong with a configured origin. The error continues a
// sentence that begins with the origin.
func CheckOrigin(text string) error {
	_, err := parseOrigin(text)
	return err
}

// parseOrigin reads an origin as browsers serialise it (RFC 6454 section 6.2).
// The error continues a sentence that begins with the origin.
func parseOrigin(text string) (origin, error) {
	scheme, rest, ok := strings.Cut(strings.ToLower(text), "://")
	if !ok || scheme == "" || rest == "" || strings.ContainsAny(rest, "/?#@ \\*,") {
		return origin{}, errors.New("is not an origin; write scheme and host, as in https://app.example.com")
	}
	o := origin{scheme: scheme, host: rest}
	switch scheme {
	case "http":
		o.port = "80"
	case "https":
		o.port = "443"
	default:
		return o, nil
	}
	if o.host, ok = hostname.Canonical(rest); !ok {
		return origin{}, errors.New("is not an origin: its host is not a plain name or address")
	}
	if colon := strings.LastIndexByte(rest, ':'); colon > strings.LastIndexByte(rest, ']') {
		if o.port = strings.TrimLeft(rest[colon+1:], "0"); o.port == "" {
			return origin{}, errors.New("is not an origin: its port is missing")
		}
	}
	return o, nil
}

// web reports whether a browser loads pages from the origin by HTTP.
func (o origin) web() bool { return o.port != "" }
