package routes

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

func TestAmbiguousPathsAreRefused(t *testing.T) {
	g := proxied(t, echo)
	for path, want := range map[string]int{
		"/": 200, "/a/": 200, "/a%20b": 200, "/a%25b": 200, "/...": 200, "/.well-known/x": 200, "/a;b=c": 200, "/%E2%82%AC": 200, "/a%252Fb": 200, "/a?x=../..//%2F%00": 200, "/..a": 200,
		"//": 400, "/a//b": 400, "//evil.example.com/": 400, "/.": 400, "/..": 400, "/a/./b": 400, "/a/../b": 400, "/a/..": 400, "/%2e%2e/b": 400, "/a/%2E": 400, "/..;/b": 400, "/.;x=1/b": 400,
		"/a%2Fb": 400, "/a%2fb": 400, "/a%5Cb": 400, "/a%5cb": 400, `/a\b`: 400, "/a%00": 400, "/a%0a": 400, "/a%0D%0Ab": 400, "/a%7F": 400, "/a#b": 400, "/a?b#c": 400, "*": 400, "a": 400,
	} {
		got := g.raw("GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		if !strings.HasPrefix(got, fmt.Sprintf("HTTP/1.1 %d ", want)) {
			t.Errorf("%s: %.60q, want %d", path, got, want)
		}
	}
}

func TestAmbiguousRequestsAreRefused(t *testing.T) {
	g := proxied(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/smuggled" {
			t.Error("a smuggled request went upstream")
		}
		echo(w, r)
	})
	for _, c := range []struct{ name, request, want string }{
		{"plain", "GET / HTTP/1.1\r\nHost: x\r\n", "200"},
		{"no host", "GET / HTTP/1.1\r\n", "400"},
		{"empty host", "GET / HTTP/1.1\r\nHost:\r\n", "400"},
		{"no host, HTTP/1.0", "GET / HTTP/1.0\r\n", "400"},
		{"two hosts", "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n", "400"},
		{"host with user", "GET / HTTP/1.1\r\nHost: a@x\r\n", "400"},
		{"host with path", "GET / HTTP/1.1\r\nHost: x/y\r\n", "400"},
		{"host list", "GET / HTTP/1.1\r\nHost: x,y\r\n", "400"},
		{"host with bad port", "GET / HTTP/1.1\r\nHost: x:80a\r\n", "400"},
		{"IPv6 host", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n", "200"},
		{"underscore in a name", "GET / HTTP/1.1\r\nHost: x\r\nX_User: root\r\n", "400"},
		{"space in a name", "GET / HTTP/1.1\r\nHost: x\r\nX User: root\r\n", "400"},
		{"space before the colon", "GET / HTTP/1.1\r\nHost: x\r\nX-User : root\r\n", "400"},
		{"folded line", "GET / HTTP/1.1\r\nHost: x\r\n folded: y\r\n", "400"},
		{"CR in a value", "GET / HTTP/1.1\r\nHost: x\r\nX-A: a\rb\r\n", "400"},
		{"TRACE", "TRACE / HTTP/1.1\r\nHost: x\r\n", "405"},
		{"CONNECT", "CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n", "405"},
		{"method that is no token", "G@T / HTTP/1.1\r\nHost: x\r\n", "400"},
		{"two lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 44\r\n", "400"},
		{"list of lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0, 44\r\n", "400"},
		{"signed length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +0\r\n", "400"},
		{"coding that is not understood", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n", "501"},
		{"two codings", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n", "501"},
		{"coding twice", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "501"},
	} {
		got := g.raw(c.request + "Connection: close\r\n\r\n")
		if !strings.HasPrefix(got, "HTTP/1.1 "+c.want+" ") && !strings.HasPrefix(got, "HTTP/1.0 "+c.want+" ") {
			t.Errorf("%s: %.80q, want %s", c.name, got, c.want)
		}
	}
}

// RFC 9112 section 3.2.2: the authority of the request target replaces Host.
func TestAnAuthorityInTheTargetReplacesHost(t *testing.T) {
	g := start(t, "routes: [{match: {hosts: [a.example], path_prefix: /}, cluster: up}]\nclusters: [{name: up, endpoints: ['%s']}]", upstream(t, echo))
	got := g.raw("GET http://a.example/x HTTP/1.1\r\nHost: b.example\r\nConnection: close\r\n\r\n")
	if !strings.Contains(got, "\nHost: a.example\n") || !strings.Contains(got, "\nX-Forwarded-Host: a.example\n") {
		t.Errorf("answer %q", got)
	}
	got = g.raw("GET http://b.example/x HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 404 ") {
		t.Errorf("answer %q", got)
	}
}

// A request with both length and coding is read by its coding, and goes
// upstream with one of them only (RFC 9112 section 6.3).
func TestLengthBesideCodingDoesNotGoUpstream(t *testing.T) {
	g := proxied(t, echo)
	got := g.raw("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 400 ") && (strings.Contains(got, "Content-Length: 5\n") || !strings.HasSuffix(got, "\n\nabc")) {
		t.Errorf("answer %q", got)
	}
}

func TestAmbiguousHTTP2RequestsAreRefused(t *testing.T) {
	g := proxied(t, echo)
	for _, c := range []struct {
		name   string
		fields []string
		want   string
	}{
		{"plain", []string{":method", "GET", ":path", "/", ":authority", "x"}, "200"},
		{"host instead of authority", []string{":method", "GET", ":path", "/", "host", "x"}, "200"},
		{"host and authority agree", []string{":method", "GET", ":path", "/", ":authority", "x", "host", "x"}, "200"},
		{"host and authority differ", []string{":method", "GET", ":path", "/", ":authority", "x", "host", "y"}, "400"},
		{"no host", []string{":method", "GET", ":path", "/"}, "400"},
		{"space in the query", []string{":method", "GET", ":path", "/?x HTTP/1.1", ":authority", "x"}, "400"},
		{"space in the method", []string{":method", "GET /x", ":path", "/", ":authority", "x"}, "400"},
		{"underscore", []string{":method", "GET", ":path", "/", ":authority", "x", "x_user", "root"}, "400"},
		{"encoded slash", []string{":method", "GET", ":path", "/a%2fb", ":authority", "x"}, "400"},
	} {
		if got := http2Status(t, g, c.fields); got != c.want && !(c.want == "400" && got == "RST_STREAM") {
			t.Errorf("%s: status %s, want %s", c.name, got, c.want)
		}
	}
}

// http2Status sends header fields as they are.
func http2Status(t *testing.T, g *gateway, fields []string) string {
	t.Helper()
	c := g.dial()
	io.WriteString(c, http2.ClientPreface)
	fr := http2.NewFramer(c, bufio.NewReader(c))
	fr.WriteSettings()
	var block strings.Builder
	enc := hpack.NewEncoder(&block)
	enc.WriteField(hpack.HeaderField{Name: ":scheme", Value: "http"})
	for i := 0; i < len(fields); i += 2 {
		enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte(block.String()), EndHeaders: true, EndStream: true})
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			t.Fatalf("%v: %v", fields, err)
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			return f.PseudoValue("status")
		case *http2.RSTStreamFrame:
			return "RST_STREAM"
		}
	}
}

func FuzzEdge(f *testing.F) {
	for _, s := range []string{"/", "/a/%2e%2e/b", "/a%2fb", "//", "/..;/x", "/a%5cb", "http://h/x", "/a?b c", "*"} {
		f.Add(s, "example.com:80")
	}
	f.Fuzz(func(t *testing.T, target, host string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		r := &http.Request{Method: "GET", URL: u, RequestURI: target, Host: host, Header: http.Header{}}
		canonical, refused := checkEdge(r)
		if refused != nil {
			return
		}
		if canonical == "" || canonical != strings.ToLower(canonical) || strings.ContainsAny(canonical, "/@ ,%") {
			t.Fatalf("host %q became %q", host, canonical)
		}
		// What passes must mean the same after any number of cleanings.
		for _, decoded := range []string{u.Path, u.EscapedPath()} {
			if strings.Contains(decoded, "//") || strings.Contains(decoded+"/", "/../") || strings.Contains(decoded+"/", "/./") || strings.ContainsAny(decoded, "\\\x00\r\n") {
				t.Fatalf("%q passes as %q", target, decoded)
			}
		}
		if strings.Contains(strings.ToLower(u.EscapedPath()), "%2f") {
			t.Fatalf("%q passes", target)
		}
		// The rewritten path is one that would pass, too.
		out := (&forwarder{strip: "", prefix: "/v1"}).upstreamURL(r.URL)
		if back, err := url.ParseRequestURI(out.RequestURI()); err != nil || back.Path != out.Path || !cleanPath(back.Path) {
			t.Fatalf("%q was rewritten to %q, read as %v, %v", target, out.RequestURI(), back, err)
		}
	})
}

func BenchmarkEdgeAndMatch(b *testing.B) {
	var routes []*route
	for i := range 100 {
		r, _ := compile(&Config{Match: Match{PathPrefix: fmt.Sprintf("/service%d", i), Hosts: []string{"*.example.com"}}})
		routes = append(routes, r)
	}
	table := newTable(routes, "")
	r := httptest.NewRequest("GET", "/service99/x", nil)
	r.Host = "api.example.com:8443"
	b.ReportAllocs()
	for b.Loop() {
		host, refused := checkEdge(r)
		if refused != nil || table.find(r, host) == nil {
			b.Fatal("no match")
		}
	}
}

func TestOPTIONSOfTheWholeServerIsAnsweredAndLogged(t *testing.T) {
	g := start(t, "routes: []")
	got := g.raw("OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if e := g.entry(); !strings.HasPrefix(got, "HTTP/1.1 200 ") || !strings.Contains(got, "\r\nAllow: GET, ") || !strings.Contains(got, "\r\nContent-Length: 0\r\n") || e.Status != 200 || e.Method != "OPTIONS" || e.Path != "*" {
		t.Errorf("%q, %+v", got, e)
	}
	f := g.http2Peer(t)
	f.request(1, true, ":method", "OPTIONS", ":path", "*")
	if got, e := f.next(), g.entry(); got != "200" || e.Path != "*" {
		t.Errorf("%s, %+v", got, e)
	}
	got = g.raw("OPTIONS * HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n")
	if e := g.entry(); !strings.HasPrefix(got, "HTTP/1.1 400 ") || e.Status != 400 {
		t.Errorf("%q, %+v", got, e)
	}
}

func TestAnAnswerThatIsNotModifiedKeepsItsLength(t *testing.T) {
	over2 := func(apart bool) *gateway {
		return answeringFrames(t, func(f *http2.Framer, id uint32) {
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block(":status", "304", "content-length", "42"), EndHeaders: true, EndStream: !apart})
			if apart {
				_ = f.WriteData(id, true, nil)
			}
		})
	}
	for name, g := range map[string]*gateway{
		"http/1.1":                 answering(t, "HTTP/1.1 304 Not Modified\r\nContent-Length: 42\r\n\r\n"),
		"h2":                       over2(false),
		"h2, with a frame of DATA": over2(true),
	} {
		if got := g.raw("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 304 ") || strings.Count(strings.ToLower(got), "content-length: 42\r\n") != 1 {
			t.Errorf("from %s: %q", name, got)
		}
		f := g.http2Peer(t)
		f.request(1, true, ":method", "GET")
		if got := f.answer(); got.PseudoValue("status") != "304" || !got.StreamEnded() || field(got, "content-length") != "42" {
			t.Errorf("from %s: %v", name, got.Fields)
		}
	}
}
