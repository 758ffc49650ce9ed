package routes

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func TestPeculiarPathsPassWhereTheRouteSaysSo(t *testing.T) {
	up := upstream(t, echo)
	g := start(t, `
routes:
- {match: {path_prefix: /admin}, respond: {status: 403}}
- {match: {path: /exact/path}, cluster: up, path: {encoded_slash: pass}}
- {match: {path_prefix: /both}, cluster: up, path: {encoded_slash: pass, merge_slashes: true}, rewrite: {path_prefix: /v1}}
- {match: {path_prefix: /merge}, cluster: up, path: {merge_slashes: true}}
- {match: {path_prefix: /strict}, cluster: up}
- {match: {path_prefix: /}, cluster: up, path: {encoded_slash: pass}}
clusters: [{name: up, endpoints: ['%s/base']}]`, up)
	for target, want := range map[string]string{
		"/api/group%2Fproject/x":      "/base/api/group%2Fproject/x",
		"/api/a%2fb?c=%2F":            "/base/api/a%2fb?c=%2F",
		"/get/http:%2F%2Fa.example/b": "/base/get/http:%2F%2Fa.example/b",
		"/both/a%2Fb//c%7C":           "/base/v1/a%2Fb/c%7C",
		"//both///a":                  "/base/v1/a",
		"/both%7C//a":                 "400", // it is of the last route
		"/merge//a//":                 "/base/merge/a/",
		"/merge//a%7C":                "/base/merge/a%7C",
		"//merge":                     "/base/merge",
		"/merge/a%2Fb":                "400",
		"/strict/a%2Fb":               "400",
		"/strict//a":                  "400",
		"/api//a":                     "400",
		"/api//a%2Fb":                 "400",
		"/exact%2Fpath":               "400",
		// What others take for /admin.
		"/admin%2Fx":     "400",
		"/%2Fadmin":      "400",
		"/%2F%2Fadmin/x": "400",
		"//admin":        "400",
		"/both%2Fa":      "400",
		// Never.
		"/api%2F..%2Fadmin":  "400",
		"/both/..%2Fadmin":   "400",
		"/both//../admin":    "400",
		"/both/a%2F.;x%2Fb":  "400",
		"/both/a%2Fb%5Cc":    "400",
		"/both/a%2Fb%00":     "400",
		"/both/a%2Fb\"":      "400",
		"/merge//a/%2e%2e/b": "400",
	} {
		got := g.raw("GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		if len(want) == 3 {
			if !strings.HasPrefix(got, "HTTP/1.1 "+want+" ") {
				t.Errorf("%s: %.300q, want %s", target, got, want)
			}
		} else if !strings.Contains(got, "\nGET "+want+" HTTP/1.1\n") {
			t.Errorf("%s: %.300q, want %s", target, got, want)
		}
	}
}

func TestUnderscoresInNamesPassWhereTheRouteSaysSo(t *testing.T) {
	up := upstream(t, echo)
	g := start(t, `
routes:
- {match: {path: /auto}, cluster: up}
- {match: {path: /pass}, cluster: up, header_underscores: pass}
- {match: {path: /forced}, cluster: forced}
- {match: {path: /refuse}, cluster: forced, header_underscores: refuse}
- {match: {path: /respond}, respond: {status: 200}}
clusters:
- {name: up, endpoints: ['%s']}
- {name: forced, endpoints: ['%s'], protocols: [h2]}`, up, grpcEcho(t))
	for path, want := range map[string][2]string{
		"/auto": {"400", "400"}, "/pass": {"200", "200"}, "/forced": {"400", "415"}, // by the gRPC server, to what is not gRPC
		"/refuse": {"400", "400"}, "/respond": {"400", "400"}, "/none": {"400", "400"},
	} {
		got := g.raw("GET " + path + " HTTP/1.1\r\nHost: x\r\nX_User: u\r\nConnection: close\r\n\r\n")
		if !strings.HasPrefix(got, "HTTP/1.1 "+want[0]+" ") || path == "/pass" && !strings.Contains(got, "\nX_user: u\n") {
			t.Errorf("%s over HTTP/1.1: %.300q, want %s", path, got, want[0])
		}
		fields := []string{":method", "GET", ":path", path, ":authority", "x", "x_user", "u"}
		if got := http2Status(t, g, fields); got != want[1] {
			t.Errorf("%s over HTTP/2: %s, want %s", path, got, want[1])
		}
	}
}

// FuzzExcused checks that a path which a lenient route lets pass has no dot
// segment, and leads to the same route however it is read.
func FuzzExcused(f *testing.F) {
	for _, s := range []string{"/a//b", "/a%2fb", "/%2Fadmin", "//admin", "/a%2F..%2Fadmin", "/a%2F%2Fadmin", "/a%25%2Fb"} {
		f.Add(s)
	}
	var routes []*route
	for _, c := range []Config{
		{Match: Match{PathPrefix: "/admin"}},
		{Match: Match{PathPrefix: "/"}, Path: PathRules{EncodedSlash: "pass", MergeSlashes: true}},
	} {
		rt, err := compile(&c)
		if err != nil {
			f.Fatal(err)
		}
		rt.excuses = newExcuses(&c, nil)
		routes = append(routes, rt)
	}
	table := newTable(routes, "")
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL, r.RequestURI = u, target
		host, refused := checkEdge(r)
		if refused == nil || refused.peculiar == 0 {
			return
		}
		passed, rt := table.excused(r, host, refused.peculiar)
		if rt == nil {
			return
		}
		if rt != routes[1] {
			t.Fatalf("%q passes to a route that refuses it", target)
		}
		out := (&forwarder{}).upstreamURL(passed.URL).EscapedPath()
		if strings.Contains(out, "//") || !strings.HasPrefix(out, "/") {
			t.Fatalf("%q goes upstream as %q", target, out)
		}
		decoded, err := url.PathUnescape(out)
		if err != nil || decoded != passed.URL.Path {
			t.Fatalf("%q goes upstream as %q: %v", target, out, err)
		}
		for _, reading := range []string{decoded, mergeSlashes(decoded)} {
			if reading == "/admin" || strings.HasPrefix(reading, "/admin/") || strings.Contains(reading+"/", "/../") {
				t.Fatalf("%q goes upstream as %q, which may be read as %q", target, out, reading)
			}
		}
	})
}
