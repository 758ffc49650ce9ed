package filter

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

// logged serves one request and returns its entry.
func logged(h http.HandlerFunc, r *http.Request) (e *Entry, w *httptest.ResponseRecorder) {
	w = httptest.NewRecorder()
	AccessLog(h, func(entry *Entry) { e = entry }).ServeHTTP(w, r)
	return e, w
}

func TestEveryRequestLeavesOneEntry(t *testing.T) {
	e, _ := logged(func(w http.ResponseWriter, r *http.Request) {
		rec := RequestInfoFrom(r.Context())
		rec.SetGeneration(7)
		rec.SetRoute("tools")
		rec.SetCluster("github")
		rec.SetEndpoint("https://10.0.0.5:9000/mcp")
		rec.SetMCP("tools/call", "search")
		rec.SetPrincipal(Principal{Kind: JWT, Issuer: "iss", Subject: "alice"})
		rec.SetFlag(FlagUpstreamOverflow)
		rec.SetFlag(FlagNoRoute)
		rec.SetReason("first")
		rec.SetReason("second")
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, "12345")
		io.Copy(w, strings.NewReader("678"))
	}, httptest.NewRequest("POST", "/a%20b?token=secret", nil))
	if e.Time.IsZero() || e.Duration <= 0 || e.RequestID == "" {
		t.Errorf("%+v", e)
	}
	e.Time, e.Duration, e.RequestID = time.Time{}, 0, ""
	want := Entry{
		Method: "POST", Host: "example.com", Path: "/a%20b", Protocol: "HTTP/1.1", Status: 503, Bytes: 8, Client: "192.0.2.1",
		Principal: "jwt:iss/alice", Generation: 7, Route: "tools", Cluster: "github", Endpoint: "https://10.0.0.5:9000/mcp",
		MCPMethod: "tools/call", MCPTool: "search", Flag: FlagUpstreamOverflow, Reason: "first",
	}
	if *e != want {
		t.Errorf("got  %+v\nwant %+v", *e, want)
	}
}

func TestTheStatusIsWhatTheClientGot(t *testing.T) {
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		status  int
	}{
		"nothing":     {func(http.ResponseWriter, *http.Request) {}, 200},
		"write":       {func(w http.ResponseWriter, _ *http.Request) { w.Write(nil) }, 200},
		"flush":       {func(w http.ResponseWriter, _ *http.Request) { http.NewResponseController(w).Flush() }, 200},
		"twice":       {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404); w.WriteHeader(500) }, 404},
		"late status": {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "x"); w.WriteHeader(500) }, 200},
	} {
		if e, _ := logged(c.handler, httptest.NewRequest("GET", "/", nil)); e.Status != c.status {
			t.Errorf("%s: %d, want %d", name, e.Status, c.status)
		}
	}
}

func TestAnAbortedRequestIsLoggedWithoutStatus(t *testing.T) {
	var e *Entry
	func() {
		defer func() {
			if recover() != http.ErrAbortHandler {
				t.Error("the panic did not go on")
			}
		}()
		AccessLog(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			RequestInfoFrom(r.Context()).SetFlag(FlagDownstreamConnectionTermination)
			panic(http.ErrAbortHandler)
		}), func(entry *Entry) { e = entry }).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}()
	if e == nil || e.Status != 0 || e.Flag != FlagDownstreamConnectionTermination {
		t.Errorf("%+v", e)
	}
}

func TestWhatAClientChoosesIsBounded(t *testing.T) {
	r := httptest.NewRequest("GET", "/"+strings.Repeat("a", 1<<16), nil)
	r.Host = strings.Repeat("h", 1000)
	e, _ := logged(func(w http.ResponseWriter, r *http.Request) {
		RequestInfoFrom(r.Context()).SetMCP("m\n\x00\xff", strings.Repeat("\u20ac", 1000))
	}, r)
	if len(e.Path) > maxPath+3 || len(e.Host) > maxName+3 || len(e.MCPTool) > maxName+3 {
		t.Errorf("lengths %d, %d, %d", len(e.Path), len(e.Host), len(e.MCPTool))
	}
	line, err := json.Marshal(e)
	if err != nil || !utf8.Valid(line) || strings.ContainsAny(string(line), "\n\x00") {
		t.Errorf("line %q, %v", line, err)
	}
}

func TestTheWriterKeepsItsAbilities(t *testing.T) {
	var entry Entry
	logged := make(chan struct{}, 10)
	s := httptest.NewServer(AccessLog(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		if err := errors.Join(c.SetReadDeadline(time.Now().Add(time.Minute)), c.SetWriteDeadline(time.Now().Add(time.Minute)), c.EnableFullDuplex()); err != nil {
			t.Errorf("controller: %v", err)
		}
		if r.URL.Path == "/hijack" {
			conn, rw, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Errorf("hijack: %v", err)
				return
			}
			RequestInfoFrom(r.Context()).AddBytes(5)
			fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
			rw.Flush()
			conn.Close()
			return
		}
		io.WriteString(w, "flushed")
		c.Flush()
		<-r.Context().Done()
	}), func(e *Entry) { entry = *e; logged <- struct{}{} }))
	defer s.Close()

	resp, err := s.Client().Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 7)); err != nil {
		t.Errorf("the flushed part: %v", err)
	}
	resp.Body.Close()
	if <-logged; entry.Status != 200 || entry.Bytes != 7 {
		t.Errorf("%+v", entry)
	}
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /hijack HTTP/1.1\r\nHost: x\r\n\r\n")
	if line, err := bufio.NewReader(conn).ReadString('\n'); !strings.Contains(line, "101") {
		t.Errorf("%q, %v", line, err)
	}
	if <-logged; entry.Status != 101 || entry.Bytes != 5 {
		t.Errorf("%+v", entry)
	}
}

func TestARecordMayBeFilledFromAnywhere(t *testing.T) {
	e, _ := logged(func(w http.ResponseWriter, r *http.Request) {
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				rec := RequestInfoFrom(r.Context())
				rec.SetCluster("c")
				rec.SetFlag(FlagNoRoute)
				rec.AddBytes(1)
			})
		}
		all.Wait()
	}, httptest.NewRequest("GET", "/", nil))
	if e.Bytes != 8 || e.Cluster != "c" {
		t.Errorf("%+v", e)
	}
	RequestInfoFrom(t.Context()).SetRoute("there is no record")
}

func TestErrorsAreJSON(t *testing.T) {
	w := httptest.NewRecorder()
	WriteError(w, 503, "no_healthy_upstream", `none of "x"`)
	if w.Code != 503 || w.Header().Get("Content-Type") != "application/json" || w.Body.String() != `{"error":{"code":"no_healthy_upstream","message":"none of \"x\""}}`+"\n" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

func BenchmarkAccessLog(b *testing.B) {
	h := AccessLog(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) }), func(*Entry) {})
	r := httptest.NewRequest("GET", "/path", nil)
	w := httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}
