package routes

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// answering is an HTTP/1.1 upstream that answers each request with these bytes.
func answering(t *testing.T, answer string) *gateway {
	return proxied(t, func(w http.ResponseWriter, r *http.Request) {
		c, _, _ := http.NewResponseController(w).Hijack()
		io.WriteString(c, answer)
		c.Close()
	})
}

func TestAnswersThatAreNotHTTPAreNamed(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for answer, want := range map[string]string{
		"SSH-2.0-OpenSSH\r\n\r\n":                               "SSH-2.0-OpenSSH",
		"\x15\x03\x03\x00\x02\x02\x46\r\n\r\n":                  "https://",
		"HTTP/7 200 OK\r\n\r\n":                                 "HTTP/7",
		"HTTP/1.1 abc OK\r\n\r\n":                               "abc",
		"HTTP/1.1 20 OK\r\n\r\n":                                `"20"`,
		ok + "no colon\r\n\r\n":                                 "no colon",
		ok + "Content-Length: x\r\n\r\n":                        "Content-Length",
		ok + "Content-Length: -1\r\n\r\n":                       "Content-Length",
		ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab": "Content-Length",
		ok + "Transfer-Encoding: gzip\r\n\r\n":                  "transfer encoding",
		ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": "transfer encodings",
		ok + "X-Long: " + strings.Repeat("x", 300<<10) + "\r\n\r\n":                      "headers exceeded",
		strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 200) + ok + "\r\n":            "1xx",
	} {
		g := answering(t, answer)
		a, e := g.get("/"), g.entry()
		if a.StatusCode != 502 || e.Flag != "upstream_protocol_error" || !strings.Contains(e.Reason, want) {
			t.Errorf("%.60q: %d, %s, %s", answer, a.StatusCode, e.Flag, e.Reason)
		}
	}
	// What breaks off is no such answer.
	for _, answer := range []string{"", "HTTP/1.1 200", ok, ok + "X-Half: "} {
		g := answering(t, answer)
		a, e := g.get("/"), g.entry()
		if a.StatusCode != 502 || e.Flag != "upstream_connection_termination" {
			t.Errorf("%q: %d, %s, %s", answer, a.StatusCode, e.Flag, e.Reason)
		}
	}
}

func TestABodyThatIsNotHTTPIsNamed(t *testing.T) {
	for body, flag := range map[string]string{
		"5\r\nhello\r\nzz\r\n":                       "upstream_protocol_error",
		"5\r\nhello!\r\n0\r\n\r\n":                   "upstream_protocol_error",
		"5\r\nhello\r\nfffffffffffffffff\r\n":        "upstream_protocol_error",
		"5\r\nhello\r\n" + strings.Repeat("1", 9000): "upstream_protocol_error",
		"5\r\nhello\r\n":                             "upstream_connection_termination",
	} {
		g := answering(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+body)
		req := "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
		if got := g.raw(req); strings.Contains(got, "\r\n0\r\n") {
			t.Errorf("%.40q looks whole: %q", body, got)
		}
		if e := g.entry(); string(e.Flag) != flag {
			t.Errorf("%.40q: %s, %s", body, e.Flag, e.Reason)
		}
	}
}

// An answer that net/http takes and that cannot be passed on leaves the connection to a
// client that stays, but for one whose upload has not ended.
func TestAnAnswerThatCannotBePassedOnIsNamed(t *testing.T) {
	for _, c := range []struct {
		answer, request, reason string
		closes                  bool
	}{
		{
			"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: y\r\n\r\n",
			`the server does not keep to HTTP: it switched to "x", and "y" was asked for`, false,
		},
		{
			"HTTP/1.1 099 Hm\r\nContent-Length: 0\r\n\r\n",
			"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
			"the server does not keep to HTTP: it answered with status 99", true,
		},
	} {
		g := answering(t, c.answer)
		conn := g.dial()
		io.WriteString(conn, c.request)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || res.StatusCode != 502 || res.Close != c.closes {
			t.Errorf("%q: %+v, %v", c.answer, res, err)
		}
		if e := g.entry(); e.Status != 502 || e.Flag != "upstream_protocol_error" || e.Reason != c.reason {
			t.Errorf("%q: %d, %s, %s", c.answer, e.Status, e.Flag, e.Reason)
		}
	}
}

// answeringFrames is an HTTP/2 upstream whose answer to the first request is up
// to write.
func answeringFrames(t *testing.T, write func(f *http2.Framer, id uint32)) *gateway {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
				c.Close()
				continue
			}
			f := http2.NewFramer(c, c)
			_ = f.WriteSettings()
			for {
				frame, err := f.ReadFrame()
				if err != nil {
					break
				}
				if h, ok := frame.(*http2.HeadersFrame); ok {
					write(f, h.StreamID)
				}
			}
			c.Close()
		}
	}()
	t.Cleanup(func() { ln.Close(); <-done })
	return start(t, "routes: [{match: {path_prefix: /}, cluster: up}]\nclusters: [{name: up, endpoints: ['http://%s'], protocols: [h2]}]", ln.Addr())
}

// block is a header block of names and values.
func block(fields ...string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for i := 0; i < len(fields); i += 2 {
		_ = e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return b.Bytes()
}

func TestAnswersThatAreNotHTTP2AreNamed(t *testing.T) {
	headers := func(fields ...string) func(*http2.Framer, uint32) {
		return func(f *http2.Framer, id uint32) {
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block(fields...), EndHeaders: true, EndStream: true})
		}
	}
	for name, c := range map[string]struct {
		write func(*http2.Framer, uint32)
		flag  string
	}{
		"no status":      {headers("x-a", "1"), "upstream_protocol_error"},
		"bad status":     {headers(":status", "abc"), "upstream_protocol_error"},
		"upper case":     {headers(":status", "200", "X-A", "1"), "upstream_protocol_error"},
		"bad value":      {headers(":status", "200", "x-a", "a\nb"), "upstream_protocol_error"},
		"well":           {headers(":status", "200", "x-a", "1"), ""},
		"data first":     {func(f *http2.Framer, id uint32) { _ = f.WriteData(id, true, []byte("x")) }, "upstream_protocol_error"},
		"frame":          {func(f *http2.Framer, id uint32) { _ = f.WriteRawFrame(http2.FrameWindowUpdate, 0, id, []byte{1}) }, "upstream_protocol_error"},
		"reset by it":    {func(f *http2.Framer, id uint32) { _ = f.WriteRSTStream(id, http2.ErrCodeInternal) }, "upstream_connection_termination"},
		"goaway with it": {func(f *http2.Framer, id uint32) { _ = f.WriteGoAway(id, http2.ErrCodeInternal, nil) }, "upstream_connection_termination"},
	} {
		write := c.write
		if name == "goaway with it" {
			write = func(f *http2.Framer, id uint32) { c.write(f, id); _ = f.WriteRSTStream(id, http2.ErrCodeInternal) }
		}
		g := answeringFrames(t, write)
		a, e := g.get("/"), g.entry()
		if string(e.Flag) != c.flag || c.flag != "" && a.StatusCode != 502 {
			t.Errorf("%s: %d, %s, %s", name, a.StatusCode, e.Flag, e.Reason)
		}
	}
}

func TestFieldsOfTheUpstreamsConnectionStayThere(t *testing.T) {
	for _, lines := range []string{
		"Connection: close, X-A", "Connection: X-A\r\nConnection: close", "connection:close\r\n\t, x-a", "CONNECTION: x-a,CLOSE",
	} {
		for _, before := range []string{"", "HTTP/1.1 103 Early Hints\r\nConnection: X-B\r\n\r\n"} {
			g := answering(t, before+"HTTP/1.1 200 OK\r\nX-A: hop\r\nX-B: end\r\nContent-Length: 2\r\n"+lines+"\r\n\r\nok")
			a := g.get("/")
			if a.StatusCode != 200 || a.body != "ok" || a.Header.Get("X-A") != "" || a.Header.Get("X-B") != "end" || a.Header.Get("Connection") != "" {
				t.Errorf("%q: %d, %v", before+lines, a.StatusCode, a.Header)
			}
		}
	}
}

func TestFieldsOfTheUpstreamsHTTP2ConnectionStayThere(t *testing.T) {
	g := answeringFrames(t, func(f *http2.Framer, id uint32) {
		for _, status := range []string{"103", "200"} {
			_ = f.WriteHeaders(http2.HeadersFrameParam{
				StreamID: id, EndHeaders: true, EndStream: status == "200",
				BlockFragment: block(":status", status, "x-a", "hop", "connection", "close, X-A", "x-b", "hop", "connection", "x-b", "keep-alive", "5", "x-c", "end"),
			})
		}
	})
	got := g.raw("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if strings.Contains(got, "hop") || strings.Contains(got, "Keep-Alive") || strings.Count(got, "X-C: end\r\n") != 2 {
		t.Errorf("%q", got)
	}
}

func TestTrailersOfAnAnswerFrameNothing(t *testing.T) {
	g := answering(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: X-Hop\r\nTrailer: X-Sum, Set-Cookie\r\n\r\n2\r\nok\r\n0\r\n"+
		"X-Sum: 1\r\nConnection: close\r\nSet-Cookie: a=b\r\nX-Late: 2\r\nX-Hop: 3\r\nKeep-Alive: 4\r\nProxy-Authenticate: 5\r\nContent-Encoding: gzip\r\n\r\n")
	answer := g.raw("GET / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nConnection: close\r\n\r\n")
	_, trailer, _ := strings.Cut(answer, "\r\n0\r\n")
	if !strings.Contains(trailer, "X-Sum: 1\r\n") || !strings.Contains(trailer, "X-Late: 2\r\n") || strings.Count(trailer, "\r\n") != 3 {
		t.Errorf("the trailer is %q", trailer)
	}
	if strings.Contains(answer, "Cookie") {
		t.Errorf("the answer is %q", answer)
	}

	g = answeringFrames(t, func(f *http2.Framer, id uint32) {
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block(":status", "200"), EndHeaders: true})
		_ = f.WriteData(id, false, []byte("ok"))
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block("x-sum", "1", "content-length", "9", "set-cookie", "a=b"), EndHeaders: true, EndStream: true})
	})
	answer = g.raw("GET / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nConnection: close\r\n\r\n")
	if _, trailer, _ := strings.Cut(answer, "\r\n0\r\n"); trailer != "X-Sum: 1\r\n\r\n" {
		t.Errorf("from HTTP/2 the trailer is %q", trailer)
	}
}

func TestTooManyInformationalAnswersEndTheRequest(t *testing.T) {
	g := answeringFrames(t, func(f *http2.Framer, id uint32) {
		for range maxInterim + 1 {
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block(":status", "103"), EndHeaders: true})
		}
	})
	a, e := g.get("/"), g.entry()
	if a.StatusCode != 502 || e.Flag != "upstream_protocol_error" || !strings.Contains(e.Reason, "1xx") {
		t.Errorf("%d, %s, %s", a.StatusCode, e.Flag, e.Reason)
	}
}

func TestFieldsOfTheUpstreamsConnectionStayThereIn1xxAnswersToo(t *testing.T) {
	g := answering(t, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX-A: hop\r\nConnection: close, X-A\r\n\r\nHTTP/1.1 103 Early Hints\r\nX-A: end\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n")
	got := g.raw("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if strings.Contains(got, "hop") || !strings.Contains(got, "Link: </a>\r\n") || !strings.Contains(got, "X-A: end\r\n") {
		t.Errorf("%q", got)
	}
}
