package listeners

import (
	"bufio"
	"bytes"
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

// RFC 9112 section 6.1: whoever else reads such a request by its Content-Length
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

// Of a request sent in advance the header may have been read together with the
// one before. It is served, and nothing after it.
func TestChunksSentInAdvanceEndTheirConnection(t *testing.T) {
	f := newFixture(t, echo)
	c := f.h1()
	c.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" + chunkedHello + "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if res := c.answer(); res.Close {
		t.Error("the first request ended the connection")
	}
	if res := c.answer(); res.StatusCode != http.StatusOK || !res.Close {
		t.Errorf("got %s, close %v", res.Status, res.Close)
	}
	c.ended()
}

// FuzzFraming compares with net/http: a chunked request that it takes is clear
// exactly if the header has no Content-Length.
func FuzzFraming(f *testing.F) {
	f.Add([]byte(chunkedHello))
	f.Add([]byte("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"))
	f.Add([]byte("POST / HTTP/1.1\nHost: a\ntransfer-encoding:chunked\n content-length: 5\n\n0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(data)))
		if err != nil || len(r.TransferEncoding) == 0 {
			return
		}
		tp := &tape{running: true}
		tp.record(data)
		got := tp.framing(r)
		// The same header with a name that net/http keeps.
		line, rest, _ := bytes.Cut(data, []byte("\n"))
		rest = bytes.ReplaceAll(bytes.ToLower(rest), []byte("content-length"), []byte("content-lengti"))
		renamed := bytes.Join([][]byte{line, rest}, []byte("\n"))
		r, err = http.ReadRequest(bufio.NewReader(bytes.NewReader(renamed)))
		if err != nil {
			return
		}
		want := framingClear
		if _, found := r.Header["Content-Lengti"]; found {
			want = framingAmbiguous
		}
		if got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}
