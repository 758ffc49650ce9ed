package routes

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// statusOf is the status of the answer of h.
func statusOf(h http.Handler, method, path string) int {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w.Code
}

// closedPort is an address that refuses connections.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestFailuresOfTheUpstreamAreNamed(t *testing.T) {
	for _, c := range []struct {
		name    string
		gateway func() *gateway
		status  int
		code    string
	}{
		{"refused", func() *gateway {
			return start(t, "routes: [{match: {path_prefix: /}, cluster: up}]\nclusters: [{name: up, endpoints: ['http://%s']}]", closedPort(t))
		}, 503, "upstream_connection_failure"},
		{"unhealthy", func() *gateway {
			return start(t, "routes: [{match: {path_prefix: /}, cluster: up}]\nclusters: [{name: up, endpoints: ['http://%s'], health_check: {kind: tcp, unhealthy_threshold: 1}}]", closedPort(t))
		}, 503, "no_healthy_upstream"},
		{"slow", func() *gateway {
			return proxied(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "timeout: 20ms")
		}, 504, "upstream_request_timeout"},
		{"silent, without timeout", func() *gateway {
			return proxied(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "timeout: 0s, stream_idle_timeout: 20ms")
		}, 504, "stream_idle_timeout"},
		{"slow in every try", func() *gateway {
			return proxied(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "retry: {attempts: 2, per_try_timeout: 20ms}")
		}, 504, "upstream_request_timeout"},
		{"closed without answer", func() *gateway {
			return proxied(t, func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
		}, 502, "upstream_connection_termination"},
		{"no HTTP", func() *gateway {
			return proxied(t, func(w http.ResponseWriter, r *http.Request) {
				c, _, _ := http.NewResponseController(w).Hijack()
				io.WriteString(c, "SSH-2.0-OpenSSH\r\n\r\n")
				c.Close()
			})
		}, 502, "upstream_protocol_error"},
		{"no status", func() *gateway {
			return proxied(t, func(w http.ResponseWriter, r *http.Request) {
				c, _, _ := http.NewResponseController(w).Hijack()
				io.WriteString(c, "HTTP/1.1 099 Hm\r\nContent-Length: 0\r\n\r\n")
				c.Close()
			})
		}, 502, "upstream_protocol_error"},
		{"switches unasked", func() *gateway {
			return proxied(t, func(w http.ResponseWriter, r *http.Request) {
				c, _, _ := http.NewResponseController(w).Hijack()
				io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
				c.Close()
			})
		}, 502, "upstream_protocol_error"},
	} {
		g := c.gateway()
		a := g.get("/")
		if a.StatusCode != c.status || !strings.HasPrefix(a.body, `{"error":{"code":"`+c.code+`"`) || a.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s", c.name, a.StatusCode, a.body)
		}
		if strings.Contains(a.body, "127.0.0.1") {
			t.Errorf("%s: the answer tells %s", c.name, a.body)
		}
		if e := g.entry(); string(e.Flag) != c.code || e.Reason == "" || e.Status != c.status {
			t.Errorf("%s: log %q, %q, %d", c.name, e.Flag, e.Reason, e.Status)
		}
	}
}

func TestTimeoutBeginsWhenTheRequestIsRead(t *testing.T) {
	g := proxied(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}, "timeout: 100ms")
	pr, pw := io.Pipe()
	sent := make(chan time.Time, 1)
	go func() {
		slowly := time.NewTicker(20 * time.Millisecond) // a slow client is what is tested
		defer slowly.Stop()
		for range 10 {
			<-slowly.C
			io.WriteString(pw, "part")
		}
		sent <- time.Now()
		pw.Close()
	}()
	a := g.do(http.MethodPost, "/", pr)
	if a.StatusCode != 504 || time.Since(<-sent) < 90*time.Millisecond {
		t.Errorf("status %d, too early", a.StatusCode)
	}
}

func TestTimeoutDoesNotCutAStream(t *testing.T) {
	next := make(chan struct{})
	g := proxied(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		http.NewResponseController(w).Flush()
		<-next
		io.WriteString(w, "late")
	}, "timeout: 50ms")
	resp, err := g.client.Get(g.url("/"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	timer := time.AfterFunc(200*time.Millisecond, func() { close(next) })
	defer timer.Stop()
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "late" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestAnIdleStreamEndsWithAnError(t *testing.T) {
	g := proxied(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "some")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}, "stream_idle_timeout: 300ms")
	for proto, client := range map[string]*http.Client{"HTTP/1.1": g.client, "HTTP/2": h2c(t)} {
		resp, err := client.Get(g.url("/"))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(resp.Body); err == nil {
			t.Errorf("%s: a clean end after %q", proto, b)
		}
		resp.Body.Close()
		if e := g.entry(); e.Flag != "stream_idle_timeout" {
			t.Errorf("%s: flag %q, %s", proto, e.Flag, e.Reason)
		}
	}
}

func TestAnUploadThatStallsIsAnswered408(t *testing.T) {
	for _, head := range []string{"Content-Length: 100", "Content-Length: 1000000", "Transfer-Encoding: chunked"} {
		g := proxied(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }, "stream_idle_timeout: 50ms")
		got := g.raw("POST / HTTP/1.1\r\nHost: x\r\n" + head + "\r\n\r\n4\r\npart\r\n")
		if !strings.HasPrefix(got, "HTTP/1.1 408 ") || !strings.Contains(got, "Connection: close") {
			t.Errorf("%s: %q", head, got)
		}
	}
}

func TestAnUploadThatTheListenerGivesUpIsAnswered408(t *testing.T) {
	for _, head := range []string{"Content-Length: 100", "Content-Length: 1000000", "Transfer-Encoding: chunked"} {
		g := start(t, "routes: [{match: {path_prefix: /}, cluster: up}]\nclusters: [{name: up, endpoints: ['%s']}]\n"+
			"listeners:\n  - {name: test, address: '127.0.0.1:0', limits: {idle_timeout: 50ms}}",
			upstream(t, func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }))
		got := g.raw("POST / HTTP/1.1\r\nHost: x\r\n" + head + "\r\n\r\n4\r\npart\r\n")
		if !strings.HasPrefix(got, "HTTP/1.1 408 ") || !strings.Contains(got, "Connection: close") {
			t.Errorf("%s: %q", head, got)
		}
		if e := g.entry(); e.Flag != "stream_idle_timeout" {
			t.Errorf("%s: flag %q, %s", head, e.Flag, e.Reason)
		}
	}
}

func TestAClientThatReadsNothingIsCut(t *testing.T) {
	g := proxied(t, func(w http.ResponseWriter, r *http.Request) {
		buf := make([]byte, 1<<20)
		for r.Context().Err() == nil {
			if _, err := w.Write(buf); err != nil {
				return
			}
		}
	}, "stream_idle_timeout: 100ms")
	c := g.dial()
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if e := g.entry(); e.Flag != "stream_idle_timeout" {
		t.Errorf("flag %q, %s", e.Flag, e.Reason)
	}
}

func TestWhatIsSafeIsTriedAgain(t *testing.T) {
	var tries atomic.Int64
	handler := func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if tries.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Write(b)
	}
	for _, c := range []struct {
		method, body  string
		status, tries int
	}{
		{"GET", "", 200, 3}, {"PUT", "body", 200, 3}, {"POST", "body", 503, 1}, {"PUT", strings.Repeat("x", maxRetryBody+1), 200, 3},
		{"PUT", strings.Repeat("x", maxKept+keptRead), 503, 1},
	} {
		g := proxied(t, handler, "retry: {attempts: 3, retry_on: ['503']}")
		tries.Store(0)
		a := g.do(c.method, "/", strings.NewReader(c.body))
		if a.StatusCode != c.status || int(tries.Load()) != c.tries || a.StatusCode == 200 && a.body != c.body {
			t.Errorf("%s of %d bytes: %d after %d tries, want %d after %d", c.method, len(c.body), a.StatusCode, tries.Load(), c.status, c.tries)
		}
	}
}

func TestCredentialsEndAtTheGateway(t *testing.T) {
	dir := t.TempDir()
	secret := writeFile(t, dir, "secret", strings.Repeat("s", 32))
	up := upstream(t, echo)
	g := start(t, `
routes:
- {match: {path: /open}, cluster: up}
- {match: {path: /closed}, cluster: up, auth: {jwt: {hmac_secret_files: ['%s'], audiences: [a]}}}
- {match: {path: /operator}, cluster: up, auth: {jwt: {hmac_secret_files: ['%s'], audiences: [a]}}, request_headers: {set: {Authorization: Bearer upstream}}}
clusters: [{name: up, endpoints: ['%s']}]`, secret, secret, up)
	token := hmacToken(t, strings.Repeat("s", 32))
	for path, want := range map[string]string{"/open": "Bearer " + token, "/closed": "", "/operator": "Bearer upstream"} {
		a := g.get(path, "Authorization", "Bearer "+token)
		if a.StatusCode != 200 || a.echoed("Authorization") != want {
			t.Errorf("%s: %d, Authorization %q upstream, want %q", path, a.StatusCode, a.echoed("Authorization"), want)
		}
	}
	a := g.get("/closed")
	if a.StatusCode != 401 || a.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("without token: %d", a.StatusCode)
	}
	if a := g.get("/closed", "Authorization", "Bearer "+token+"x"); a.StatusCode != 401 || !strings.Contains(fmt.Sprint(a.Header), "invalid_token") {
		t.Errorf("with a broken token: %d %v", a.StatusCode, a.Header)
	}
}

func TestUnchangedAuthIsCarriedOver(t *testing.T) {
	secret := writeFile(t, t.TempDir(), "secret", strings.Repeat("s", 32))
	yaml := "routes:\n- {match: {path: /a}, respond: {}, auth: {jwt: {hmac_secret_files: ['%s'], audiences: [a]}}}\n- {match: {path: /b}, respond: {}, auth: {jwt: {hmac_secret_files: ['%s'], audiences: [%s]}}}\n"
	build := func(audience string, previous *Router) *Router {
		s, err := load(t, fmt.Sprintf(yaml, secret, secret, audience))
		if err != nil {
			t.Fatal(err)
		}
		rt, err := NewRouter(s.Routes, Deps{Previous: previous})
		if err != nil {
			t.Fatal(err)
		}
		return rt
	}
	one := build("a", nil)
	if len(one.auths) != 1 {
		t.Errorf("equal blocks made %d Auths", len(one.auths))
	}
	two := build("b", one)
	shared := 0
	for sum, a := range two.auths {
		if one.auths[sum] == a {
			shared++
		}
	}
	if len(two.auths) != 2 || shared != 1 {
		t.Errorf("the next generation has %d Auths, %d of them carried over", len(two.auths), shared)
	}
	one.Close()
	for sum, a := range two.auths {
		if a.holders.Load() != 1 {
			t.Errorf("%x has %d holders", sum[:4], a.holders.Load())
		}
	}
	two.Close()
}
