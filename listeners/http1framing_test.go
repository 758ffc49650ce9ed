package listeners

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

const chunkedHello = "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"

// echo answers with the body, as it understands it.
func echo(w http.ResponseWriter, r *http.Request) {
	if b, err := io.ReadAll(r.Body); err == nil {
		w.Write(b)
	}
}

// RFC 9112 section 6.1: a proxy that reads such a request by its Content-Length
// sees another one in its body.
func TestRequestWithTwoLengthsIsRefusedAndEndsItsConnection(t *testing.T) {
	for name, header := range map[string]string{
		"length first":   "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
		"length last":    "Transfer-Encoding: chunked\r\nX: y\r\ncontent-LENGTH: 5\r\n",
		"bare line feed": "Transfer-Encoding: chunked\r\nX: y\nContent-Length: 5\n",
		"long header":    "Content-Length: 5\r\nX: " + strings.Repeat("x", 20<<10) + "\r\nTransfer-Encoding: chunked\r\n",
	} {
		for _, change := range []func(*Config){plain, func(*Config) {}} {
			f := newFixture(t, echo, change)
			c := f.h1()
			// Not only the first request of a connection is looked at.
			for range 2 {
				c.send(chunkedHello)
				if res := c.answer(); res.StatusCode != http.StatusOK || res.Close {
					t.Fatalf("chunks alone: got %s, close %v", res.Status, res.Close)
				}
			}
			c.send("POST /echo HTTP/1.1\r\nHost: localhost\r\n" + header + "\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n")
			if res := c.answer(); res.StatusCode != http.StatusBadRequest || !res.Close {
				t.Errorf("%s: got %s, close %v", name, res.Status, res.Close)
			}
			c.ended()
		}
	}
}

func TestHeaderInPiecesIsSeenWhole(t *testing.T) {
	f := newFixture(t, echo)
	c := f.h1()
	for _, piece := range []string{"PO", "ST /echo HTTP/1.1\r\nHost: localhost\r", "\nContent-Len", "gth: 5\r\nTransfer-Encoding: chunked\r\n\r", "\n"} {
		c.send(piece)
	}
	if res := c.answer(); res.StatusCode != http.StatusBadRequest {
		t.Errorf("got %s", res.Status)
	}
}

// A client may send requests in advance, and their heads come in whatever pieces
// it likes.
func TestRequestsSentInAdvanceAreServed(t *testing.T) {
	const requests = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" + chunkedHello + "\r\n" + chunkedHello +
		"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"
	for _, cut := range []int{0, 1, 40, 44, 60, 103, 104, 105, 130, 131, 140, len(requests) - 1} {
		f := newFixture(t, echo, plain)
		c := f.h1()
		c.send(requests[:cut])
		c.send(requests[cut:])
		for i, want := range []string{"", "hello", "hello", "hello"} {
			res := c.header()
			body, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != http.StatusOK || res.Close || string(body) != want {
				t.Errorf("cut at %d, answer %d: got %s, %q, close %v, %v", cut, i, res.Status, body, res.Close, err)
			}
		}
	}
}

// The second read of the connection begins with the rest of the refused head,
// which looks like a request of its own.
func TestRequestWithTwoLengthsInPiecesIsRefused(t *testing.T) {
	const first = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\nPOST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nX: "
	for _, second := range []string{
		"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"y\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n",
	} {
		f := newFixture(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/" {
				t.Errorf("%s reached the handler", r.URL.Path)
			}
		}, plain)
		c := f.h1()
		c.send(first)
		if res := c.answer(); res.StatusCode != http.StatusOK || res.Close {
			t.Errorf("the first request: got %s, close %v", res.Status, res.Close)
		}
		c.send(second)
		if res := c.answer(); res.StatusCode != http.StatusBadRequest || !res.Close {
			t.Errorf("got %s, close %v", res.Status, res.Close)
		}
		c.ended()
	}
}

// RFC 9112 section 6.1: what stands before us may not know the coding either.
func TestTransferEncodingOverHTTP10IsRefused(t *testing.T) {
	for _, proto := range []string{"plain", "TLS"} {
		change := func(*Config) {}
		if proto == "plain" {
			change = plain
		}
		f := newFixture(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s reached the handler", r.URL.Path) }, change)
		c := f.h1()
		c.send("POST / HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if res := c.answer(); res.StatusCode != http.StatusBadRequest || !res.Close {
			t.Errorf("%s: got %s, close %v", proto, res.Status, res.Close)
		}
		c.ended()
	}
}

// A request that is refused waits for its turn: those before it are served, also
// one that is in progress while the refused one comes.
func TestRefusedRequestDoesNotEndThoseBeforeIt(t *testing.T) {
	const refused = "GET /refused HTTP/1.1\r\nX : y\r\n\r\n"
	for _, early := range []int{0, 1, len(refused) - 1, len(refused)} {
		serving, finish := make(chan struct{}), make(chan struct{})
		f := newFixture(t, func(w http.ResponseWriter, r *http.Request) {
			close(serving)
			select {
			case <-finish:
			case <-r.Context().Done():
				t.Error("the request was cancelled")
			}
			io.WriteString(w, "served")
		}, plain)
		c := f.h1()
		c.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n" + refused[:early])
		wait(t, serving, "request")
		c.send(refused[early:])
		close(finish)
		if res := c.answer(); res.StatusCode != http.StatusOK {
			t.Errorf("the first %d bytes early: got %s", early, res.Status)
		}
		if res := c.answer(); res.StatusCode != http.StatusBadRequest || !res.Close {
			t.Errorf("the first %d bytes early: got %s, close %v, for the refused one", early, res.Status, res.Close)
		}
		c.ended()
	}
}

// A body that is malformed fails where it is, and what follows is not a request.
func TestMalformedChunksEndTheirConnection(t *testing.T) {
	failed := make(chan error, 1)
	f := newFixture(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			t.Errorf("%s reached the handler", r.URL.Path)
		}
		_, err := io.ReadAll(r.Body)
		failed <- err
	}, plain)
	for _, chunks := range []string{"5;\n\r\nhello\r\n", "5\r\nhelloX0\r\n\r\n", "0\r\nX: y\n\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n", "0x5\r\nhello\r\n"} {
		c := f.h1()
		c.send("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if err := <-failed; err == nil {
			t.Errorf("%q was read without an error", chunks)
		}
		c.answer()
		c.ended()
	}
}

// What a client sends after it has asked for another protocol is no request.
func TestBytesAfterAnUpgradeReachTheHijacker(t *testing.T) {
	const sent = "\nnot a request\r\n\r\nX : y\r\n\r\n"
	f := newFixture(t, func(w http.ResponseWriter, _ *http.Request) {
		nc, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer nc.Close()
		got := make([]byte, len(sent))
		_, err = io.ReadFull(rw, got)
		if err != nil || string(got) != sent {
			t.Errorf("got %q, %v", got, err)
		}
		io.WriteString(nc, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
	}, plain)
	for _, cut := range []int{0, 1, 5, len(sent)} {
		c := f.h1()
		c.send("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n" + sent[:cut])
		c.send(sent[cut:])
		c.answer()
		c.ended()
	}
}

// Old clients send an empty line after a body (RFC 9112 section 2.2).
func TestAnEmptyLineBeforeARequestIsIgnored(t *testing.T) {
	for _, change := range []func(*Config){plain, func(*Config) {}} {
		f := newFixture(t, hello, change)
		const request = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\ndata"
		whole, bytewise := f.h1(), f.h1()
		for range 3 {
			whole.send("\r\n" + request)
			for _, c := range "\r\n" + request {
				bytewise.send(string(c))
			}
			for _, c := range []*h1{whole, bytewise} {
				if res := c.answer(); res.StatusCode != http.StatusOK {
					t.Errorf("got %s", res.Status)
				}
			}
		}
		for _, more := range []string{"\r\n\r\n", "\n", "\r"} {
			c := f.h1()
			c.send(more + request)
			if res := c.answer(); res.StatusCode != http.StatusBadRequest {
				t.Errorf("after %q: %s", more, res.Status)
			}
		}
	}
}
