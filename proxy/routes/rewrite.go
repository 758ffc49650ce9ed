package routes

import (
	"net/url"
	"strings"
)

// upstreamURL rewrites the prefix and puts the cluster's own path before it.
// RawPath, where there is one, is rewritten alike: %2F is refused at the edge,
// so both have the same segments.
func (f *forwarder) upstreamURL(in *url.URL) *url.URL {
	u := &url.URL{Path: in.Path, RawPath: in.RawPath, RawQuery: in.RawQuery, ForceQuery: in.ForceQuery}
	if f.prefix != "" {
		u.Path = replacePrefix(u.Path, len(f.strip), f.prefix)
		if u.RawPath != "" {
			rest := skipSegments(in.RawPath, strings.Count(f.strip, "/"))
			u.RawPath = replacePrefix(in.RawPath, rest, escaped(f.prefix))
		}
	}
	if f.base != "" {
		u.Path = f.base + u.Path
		if u.RawPath != "" {
			u.RawPath = escaped(f.base) + u.RawPath
		}
	}
	return u
}

func escaped(path string) string { return (&url.URL{Path: path}).EscapedPath() }

// replacePrefix puts prefix in place of the first n bytes of path.
func replacePrefix(path string, n int, prefix string) string {
	rest := path[n:]
	prefix = strings.TrimSuffix(prefix, "/")
	if rest == "" && prefix == "" {
		return "/"
	}
	return prefix + rest
}

// skipSegments returns how many bytes of path its first n segments take.
func skipSegments(path string, n int) int {
	for i := range len(path) {
		if path[i] == '/' {
			if n == 0 {
				return i
			}
			n--
		}
	}
	return len(path)
}
