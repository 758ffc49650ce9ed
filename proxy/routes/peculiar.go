package routes

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpgateway/mcpgateway/clusters"
)

// peculiarity is a set of what readers of a request understand in several ways,
// and a route may let pass because its upstream understands one of them.
type peculiarity uint8

const (
	encodedSlashes  peculiarity = 1 << iota // %2F in the path
	emptySegments                           // // in the path
	underscoreNames                         // _ in the name of a field
)

// PathRules say what a route does with peculiar paths.
type PathRules struct {
	EncodedSlash string `yaml:"encoded_slash" default:"refuse" enum:"refuse,pass" doc:"A path with %2F: refuse answers 400; pass sends it as it came, if it leads to this route however it is read."`
	MergeSlashes bool   `yaml:"merge_slashes" default:"false" doc:"A path with //: false answers 400; true makes one slash of several, before matching and for the upstream."`
}

// The values of header_underscores.
const (
	underscoresAuto = "auto"
	underscoresPass = "pass"
)

// excuses are the peculiarities that a route lets pass.
type excuses struct {
	always peculiarity
	// metadata lets names with underscores pass from HTTP/2 and 3.
	metadata bool
}

// newExcuses is what a route lets pass. gRPC metadata may have underscores, and
// a server that speaks but HTTP/2 makes no CGI variables of names.
func newExcuses(c *Config, set *clusters.Set) excuses {
	var e excuses
	if c.Path.EncodedSlash == "pass" {
		e.always |= encodedSlashes
	}
	if c.Path.MergeSlashes {
		e.always |= emptySegments
	}
	switch c.HeaderUnderscores {
	case underscoresPass:
		e.always |= underscoreNames
	case underscoresAuto:
		if c.Cluster == "" {
			break
		}
		if cluster, ok := set.Get(c.Cluster); ok {
			forced := cluster.Config().Protocols
			e.metadata = len(forced) > 0 && !slices.Contains(forced, "http/1.1")
		}
	}
	return e
}

func (e excuses) of(r *http.Request) peculiarity {
	if e.metadata && r.ProtoMajor >= 2 {
		return e.always | underscoreNames
	}
	return e.always
}

// excused finds the route of a request that is refused for being peculiar, and
// lets that pass. It returns nil where no route does, or where the route depends
// on how the path is read: a client could otherwise bypass the rules of one route
// by a path that matches another. The request that it returns has the path that goes
// upstream.
func (t *table) excused(r *http.Request, host string, odd peculiarity) (*http.Request, *route) {
	passed := *r
	passed.URL = r.URL
	if odd&emptySegments != 0 {
		passed.URL = merged(r.URL)
	}
	// The path as a server reads it that decodes it first.
	rt := t.find(read(&passed, mergeSlashes(passed.URL.Path)), host)
	if rt == nil || odd&^rt.excuses.of(r) != 0 {
		return nil, nil
	}
	// The path as a server reads it that takes %2F for no slash. NUL stands for
	// it, which no path that comes here has.
	if odd&encodedSlashes != 0 && t.find(read(&passed, opaqueSlashes(passed.URL.RawPath)), host) != rt {
		return nil, nil
	}
	return &passed, rt
}

// read is the request with another path, for matching.
func read(r *http.Request, path string) *http.Request {
	other := *r
	u := *r.URL
	u.Path = path
	other.URL = &u
	return &other
}

// merged is the URL without empty segments. Of encoded slashes it makes none.
func merged(in *url.URL) *url.URL {
	u := *in
	if u.RawPath == "" {
		u.Path = mergeSlashes(u.Path)
		return &u
	}
	u.RawPath = mergeSlashes(u.RawPath)
	if path, err := url.PathUnescape(u.RawPath); err == nil { // it was unescaped before
		u.Path = path
	}
	return &u
}

func mergeSlashes(path string) string {
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	return path
}

// opaqueSlashes decodes a path, and keeps each encoded slash one NUL.
func opaqueSlashes(raw string) string {
	path, err := url.PathUnescape(strings.NewReplacer("%2F", "%00", "%2f", "%00").Replace(raw))
	if err != nil {
		return ""
	}
	return path
}
