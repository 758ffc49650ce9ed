package routes

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// echo answers with the request as it came, for look-ups by echoed.
func echo(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s %s\nHost: %s\n", r.Method, r.RequestURI, r.Proto, r.Host)
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for name := range r.Header {
			if !yield(name) {
				return
			}
		}
	}) {
		fmt.Fprintf(w, "%s: %s\n", name, strings.Join(r.Header[name], " | "))
	}
	fmt.Fprintf(w, "\n%s", b)
}

// echoed returns a header field that the upstream saw.
func (a reply) echoed(name string) string {
	for line := range strings.Lines(a.body) {
		if value, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), name+": "); ok {
			return value
		}
	}
	return ""
}

func TestRequestsPassUnchanged(t *testing.T) {
	g := proxied(t, echo)
	a := g.do(http.MethodPut, "/a%20b/c%7Cd;x?q=1;2&q=%2F", strings.NewReader("body"), "Host", "example.com:99", "X-One", "a", "X-One", "b", "Cookie", "c=1", "User-Agent", "")
	first, _, _ := strings.Cut(a.body, "\n")
	if first != "PUT /a%20b/c%7Cd;x?q=1;2&q=%2F HTTP/1.1" {
		t.Errorf("request line %q", first)
	}
	if a.echoed("Host") != "example.com:99" || a.echoed("X-One") != "a | b" || a.echoed("Cookie") != "c=1" || a.echoed("Content-Length") != "4" {
		t.Errorf("the upstream saw\n%s", a.body)
	}
	if strings.Contains(a.body, "User-Agent:") || strings.Contains(a.body, "Accept-Encoding") {
		t.Errorf("a field that the client did not send:\n%s", a.body)
	}
	if !strings.HasSuffix(a.body, "\n\nbody") {
		t.Errorf("the body is lost:\n%s", a.body)
	}
	e := g.entry()
	if e.Status != 200 || e.Method != "PUT" || e.Path != "/a%20b/c%7Cd;x" || e.Route != "/" || e.Cluster != "up" || e.Endpoint == "" || e.Bytes != int64(len(a.body)) || e.RequestID != a.echoed("X-Request-Id") || e.Client != "127.0.0.1" || e.Flag != "" {
		t.Errorf("access log: %+v", e)
	}
}

func TestConnectionFieldsStayOnTheirConnection(t *testing.T) {
	g := proxied(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Connection", "X-Answer-Hop, keep-alive")
		h.Set("X-Answer-Hop", "1")
		h.Set("Proxy-Authenticate", "Basic")
		h.Set("Keep-Alive", "timeout=5")
		h.Set("X-Answer", "1")
		h.Set("Alt-Svc", `h3=":443"; ma=2592000`)
		echo(w, r)
	})
	a := g.get("/", "Connection", "X-Hop, Upgrade", "X-Hop", "1", "Upgrade", "h2c", "Http2-Settings", "AAAA", "Keep-Alive", "x",
		"Proxy-Authorization", "secret", "Proxy-Connection", "keep-alive", "Te", "trailers, deflate", "X-End", "1")
	for _, name := range []string{"X-Hop", "Upgrade", "Http2-Settings", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection"} {
		if v := a.echoed(name); v != "" {
			t.Errorf("%s: %q went upstream", name, v)
		}
	}
	if a.echoed("Te") != "trailers" || a.echoed("X-End") != "1" {
		t.Errorf("the upstream saw\n%s", a.body)
	}
	for _, name := range []string{"X-Answer-Hop", "Proxy-Authenticate", "Keep-Alive", "Connection", "Alt-Svc"} {
		if v := a.Header.Get(name); v != "" {
			t.Errorf("%s: %q came back", name, v)
		}
	}
	if a.Header.Get("X-Answer") != "1" {
		t.Errorf("header of the answer: %v", a.Header)
	}
}

func TestForwardedFieldsOfStrangersAreReplaced(t *testing.T) {
	g := proxied(t, echo)
	a := g.get("/", "Host", "example.com", "X-Forwarded-For", "1.2.3.4", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "evil", "X-Forwarded-Port", "1",
		"X-Forwarded-Client-Cert", "evil", "Forwarded", "for=1.2.3.4", "X-Real-Ip", "1.2.3.4", "X-Request-Id", "evil")
	_, port, _ := strings.Cut(g.addr, ":")
	for name, want := range map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "example.com", "X-Forwarded-Port": port,
		"X-Forwarded-Client-Cert": "", "Forwarded": "", "X-Real-Ip": "",
	} {
		if got := a.echoed(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if a.echoed("X-Request-Id") == "evil" {
		t.Error("a stranger chose the request id")
	}
	if e := g.entry(); e.Client != "127.0.0.1" {
		t.Errorf("the log names the client %s", e.Client)
	}
}

func TestForwardedFieldsOfTrustedProxiesAreBelieved(t *testing.T) {
	g := start(t, `
listeners:
- {name: test, address: '127.0.0.1:0', trusted_proxies: [127.0.0.0/8, 10.0.0.0/8]}
routes: [{match: {path_prefix: /}, cluster: up}]
clusters: [{name: up, endpoints: ['%s']}]`, upstream(t, echo))
	a := g.get("/", "X-Forwarded-For", "6.6.6.6, 1.2.3.4", "X-Forwarded-For", "10.0.0.7", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "example.com", "X-Request-Id", "abc")
	for name, want := range map[string]string{
		"X-Forwarded-For": "6.6.6.6, 1.2.3.4, 10.0.0.7, 127.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "example.com", "X-Request-Id": "abc",
	} {
		if got := a.echoed(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if e := g.entry(); e.Client != "1.2.3.4" || e.RequestID != "abc" {
		t.Errorf("the log names the client %s and the request %s", e.Client, e.RequestID)
	}
}

func TestRewrites(t *testing.T) {
	up := upstream(t, echo)
	g := start(t, `
routes:
- match: {path_prefix: /api/}
  cluster: base
  rewrite: {path_prefix: /v1, host: internal:8080}
- {match: {path_prefix: /strip}, cluster: root, rewrite: {path_prefix: /}}
- {match: {path: /exact}, cluster: root, rewrite: {path_prefix: /other}}
- match: {path_prefix: /}
  cluster: base
  request_headers: {set: {x-set: new}, add: {X-Add: two}, remove: [x-gone]}
  response_headers: {set: {X-Frame-Options: DENY}, add: {Vary: Host}, remove: [X-Powered-By]}
clusters:
- {name: root, endpoints: ['%s']}
- {name: base, endpoints: ['%s/base/']}`, up, up)
	for path, want := range map[string]string{
		"/api":            "/base/v1",
		"/api/":           "/base/v1/",
		"/api/x%20y/z?q":  "/base/v1/x%20y/z?q",
		"/api/a%7Cb!":     "/base/v1/a%7Cb!",
		"/apix":           "/base/apix",
		"/strip":          "/",
		"/strip/":         "/",
		"/strip/a%2Bb/c?": "/a%2Bb/c?",
		"/exact?x=1":      "/other?x=1",
		"/":               "/base/",
	} {
		a := g.get(path)
		if got := strings.Fields(a.body)[1]; got != want {
			t.Errorf("%s went upstream as %s, want %s", path, got, want)
		}
	}
	if got := g.get("/api").echoed("Host"); got != "internal:8080" {
		t.Errorf("rewritten host %q", got)
	}
	a := g.get("/x", "X-Set", "old", "X-Add", "one", "X-Gone", "1")
	if a.echoed("X-Set") != "new" || a.echoed("X-Add") != "one | two" || a.echoed("X-Gone") != "" {
		t.Errorf("edits of the request:\n%s", a.body)
	}
	if a.Header.Get("X-Frame-Options") != "DENY" || a.Header.Get("Vary") != "Host" {
		t.Errorf("edits of the answer: %v", a.Header)
	}
}

func TestBodiesOfEverySizePass(t *testing.T) {
	g := proxied(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Write(b)
	})
	for _, size := range []int{0, 1, maxRetryBody, maxRetryBody + 1, 5 << 20} {
		data := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		for name, body := range map[string]io.Reader{
			"known length": bytes.NewReader(data), "chunked": struct{ io.Reader }{bytes.NewReader(data)},
		} {
			if a := g.do(http.MethodPost, "/", body); a.body != string(data) {
				t.Errorf("%d bytes, %s: %d came back", size, name, len(a.body))
			}
		}
	}
}

func TestAnswersWithoutBody(t *testing.T) {
	g := proxied(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = nil
		switch r.URL.Path {
		case "/204":
			w.WriteHeader(http.StatusNoContent)
		case "/304":
			w.Header().Set("Etag", `"x"`)
			w.WriteHeader(http.StatusNotModified)
		case "/head":
			w.Header().Set("Content-Length", "1000")
		case "/redirect":
			http.Redirect(w, r, "/else", http.StatusFound)
		}
	})
	for path, want := range map[string]int{"/204": 204, "/304": 304, "/": 200, "/redirect": 302} {
		if a := g.get(path); a.StatusCode != want || a.Header.Get("Content-Type") != "" && path != "/redirect" {
			t.Errorf("%s: %d %v", path, a.StatusCode, a.Header)
		}
	}
	if a := g.do(http.MethodHead, "/head", nil); a.ContentLength != 1000 {
		t.Errorf("HEAD: length %d", a.ContentLength)
	}
}

func TestATruncatedAnswerNeverLooksWhole(t *testing.T) {
	for name, header := range map[string]string{
		"length":  "Content-Length: 100\r\n\r\npart",
		"chunked": "Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\n",
	} {
		g := proxied(t, func(w http.ResponseWriter, r *http.Request) {
			c, _, _ := http.NewResponseController(w).Hijack()
			io.WriteString(c, "HTTP/1.1 200 OK\r\n"+header)
			c.Close()
		})
		for proto, client := range map[string]*http.Client{"HTTP/1.1": g.client, "HTTP/2": h2c(t)} {
			resp, err := client.Get(g.url("/"))
			if err != nil {
				t.Errorf("%s over %s: %v", name, proto, err)
				continue
			}
			b, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err == nil {
				t.Errorf("%s over %s: a clean end after %q", name, proto, b)
			}
			if e := g.entry(); e.Flag != "upstream_connection_termination" || e.Reason == "" {
				t.Errorf("%s over %s: flag %q, reason %q", name, proto, e.Flag, e.Reason)
			}
		}
	}
}

func TestTrailersPassBothWays(t *testing.T) {
	handler := func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Trailer", "X-Announced")
		io.WriteString(w, "body")
		w.Header().Set("X-Announced", r.Trailer.Get("X-Sum"))
		for name := range r.Trailer {
			if name != "X-Sum" {
				w.Header().Set("X-Announced", name+" came in the trailer")
			}
		}
		w.Header().Set(http.TrailerPrefix+"X-Late", "late")
	}
	for name, url := range map[string]string{"HTTP/1.1": upstream(t, handler), "HTTP/2": upstreamH2C(t, http.HandlerFunc(handler))} {
		protocol := strings.ToLower(strings.Replace(name, "HTTP/2", "h2", 1))
		g := start(t, "routes: [{match: {path_prefix: /}, cluster: up}]\nclusters: [{name: up, endpoints: ['%s'], protocols: [%s]}]", url, protocol)
		for proto, client := range map[string]*http.Client{"HTTP/1.1": g.client, "HTTP/2": h2c(t)} {
			req, _ := http.NewRequest(http.MethodPost, g.url("/"), struct{ io.Reader }{strings.NewReader("data")})
			// What says who the client is belongs into the header, or nowhere.
			req.Trailer = http.Header{"X-Sum": {"42"}, "X-Forwarded-Client-Cert": {"Subject=admin"}, "X-Forwarded-For": {"192.0.2.1"}, "Cookie": {"user=admin"}}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatalf("%s to %s: %v", proto, name, err)
			}
			b, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || string(b) != "body" || resp.Trailer.Get("X-Announced") != "42" || resp.Trailer.Get("X-Late") != "late" {
				t.Errorf("%s to %s: body %q, trailer %v, error %v", proto, name, b, resp.Trailer, err)
			}
		}
	}
}

func TestEarlyHintsPass(t *testing.T) {
	g := proxied(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		io.WriteString(w, "page")
	})
	got := g.raw("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	hints, final, ok := strings.Cut(got, "\r\n\r\n")
	if !ok || !strings.HasPrefix(hints, "HTTP/1.1 103 ") || !strings.Contains(hints, "Link: </style.css>") {
		t.Errorf("hints %q", hints)
	}
	if !strings.HasPrefix(final, "HTTP/1.1 200 OK") || strings.Contains(final, "Link:") || !strings.HasSuffix(final, "page") {
		t.Errorf("final answer %q", final)
	}
	if got := g.raw("GET / HTTP/1.0\r\nHost: x\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.0 200") && !strings.HasPrefix(got, "HTTP/1.1 200") {
		t.Errorf("HTTP/1.0 got %q", got)
	}
}

func TestTheUpstreamDecidesOn100Continue(t *testing.T) {
	g := proxied(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			w.WriteHeader(http.StatusExpectationFailed)
			return
		}
		io.Copy(w, r.Body)
	})
	for path, want := range map[string]string{"/no": "HTTP/1.1 417", "/yes": "HTTP/1.1 100 Continue\r\n\r\n"} {
		c := g.dial()
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n", path)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
			t.Fatalf("%s: %q, %v; want %q", path, got, err, want)
		}
		if path == "/yes" {
			io.WriteString(c, "data")
			rest, _ := io.ReadAll(c)
			if !strings.HasPrefix(string(rest), "HTTP/1.1 200") || !strings.HasSuffix(string(rest), "data") {
				t.Errorf("after the body: %q", rest)
			}
		}
	}
}

func TestTheClientLeavingEndsTheUpstreamRequest(t *testing.T) {
	arrived, gone := make(chan struct{}), make(chan struct{})
	g := proxied(t, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
		close(gone)
	})
	c := g.dial()
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-arrived
	c.Close()
	<-gone
	if e := g.entry(); e.Flag != "downstream_connection_termination" || e.Status != 0 {
		t.Errorf("flag %q, status %d", e.Flag, e.Status)
	}
}

func TestStreamedAnswersArriveAtOnce(t *testing.T) {
	next := make(chan struct{})
	handler := func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", "15")
		}
		w.WriteHeader(200)
		c.Flush()
		for i := range 3 {
			<-next
			fmt.Fprintf(w, "part%d", i)
			c.Flush()
		}
	}
	g := proxied(t, handler)
	for proto, client := range map[string]*http.Client{"HTTP/1.1": g.client, "HTTP/2": h2c(t)} {
		for _, path := range []string{"/length", "/unknown"} {
			if path == "/length" {
				// Of a known length, the header may come with the first part.
				go func() { next <- struct{}{} }()
			}
			resp, err := client.Get(g.url(path))
			if err != nil {
				t.Fatalf("%s %s: %v", proto, path, err)
			}
			for i := range 3 {
				if i > 0 || path != "/length" {
					next <- struct{}{}
				}
				part := make([]byte, 5)
				if _, err := io.ReadFull(resp.Body, part); err != nil || string(part) != fmt.Sprintf("part%d", i) {
					t.Fatalf("%s %s: part %d: %q, %v", proto, path, i, part, err)
				}
			}
			resp.Body.Close()
		}
	}
}

func TestBothDirectionsStreamAtTheSameTime(t *testing.T) {
	handler := func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		c.EnableFullDuplex()
		buf := make([]byte, 5)
		for {
			if _, err := io.ReadFull(r.Body, buf); err != nil {
				return
			}
			w.Write(bytes.ToUpper(buf))
			c.Flush()
		}
	}
	for name, url := range map[string]string{"HTTP/1.1": upstream(t, handler), "h2": upstreamH2C(t, http.HandlerFunc(handler))} {
		g := start(t, "routes: [{match: {path_prefix: /}, cluster: up}]\nclusters: [{name: up, endpoints: ['%s'], protocols: [%s]}]", url, strings.ToLower(name))
		for proto, client := range map[string]*http.Client{"HTTP/1.1": g.client, "HTTP/2": h2c(t)} {
			pr, pw := io.Pipe()
			go io.WriteString(pw, "part0")
			resp, err := client.Post(g.url("/"), "text/plain", pr)
			if err != nil {
				t.Fatalf("%s to %s: %v", proto, name, err)
			}
			for i := range 5 {
				if i > 0 {
					fmt.Fprintf(pw, "part%d", i)
				}
				part := make([]byte, 5)
				if _, err := io.ReadFull(resp.Body, part); err != nil || string(part) != fmt.Sprintf("PART%d", i) {
					t.Fatalf("%s to %s: part %d: %q, %v", proto, name, i, part, err)
				}
			}
			pw.Close()
			if _, err := io.ReadAll(resp.Body); err != nil {
				t.Errorf("%s to %s: the end: %v", proto, name, err)
			}
			resp.Body.Close()
		}
	}
}

func TestABrokenRequestBodyIsTheClientsFault(t *testing.T) {
	g := proxied(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err == nil {
			t.Error("the upstream saw a whole body")
		}
	})
	got := g.raw("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 400 ") || !strings.Contains(got, `"downstream_protocol_error"`) {
		t.Errorf("answer %q", got)
	}
	if e := g.entry(); e.Flag != "downstream_protocol_error" {
		t.Errorf("flag %q, reason %q", e.Flag, e.Reason)
	}
	c := g.dial()
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
	c.Close()
	if e := g.entry(); e.Flag != "downstream_connection_termination" {
		t.Errorf("a client that left: flag %q, reason %q", e.Flag, e.Reason)
	}
}

// A pipelined request must never be read out of an unread body.
func TestAnAnswerThatOvertakesItsRequestEndsTheConnection(t *testing.T) {
	g := proxied(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/smuggled" {
			t.Error("the body was taken for a request")
		}
		http.NewResponseController(w).EnableFullDuplex() // else it reads the body first
		w.WriteHeader(http.StatusForbidden)
	})
	c := g.dial()
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
	head := make([]byte, len("HTTP/1.1 403"))
	if _, err := io.ReadFull(c, head); err != nil || string(head) != "HTTP/1.1 403" {
		t.Fatalf("answer %q, %v", head, err)
	}
	io.WriteString(c, "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
	rest, err := io.ReadAll(c)
	if !strings.Contains(string(rest), "Connection: close") || strings.Contains(string(rest), "HTTP/1.1") {
		t.Errorf("after the answer: %q, %v", rest, err)
	}
}
