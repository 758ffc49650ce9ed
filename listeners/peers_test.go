package listeners

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// h1 is an HTTP/1.1 connection, spoken by hand.
type h1 struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

func (f *fixture) h1(identity ...[]byte) *h1 {
	conn := f.dial("http/1.1", identity...)
	return &h1{Conn: conn, t: f.t, r: bufio.NewReader(conn)}
}

func (c *h1) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, text); err != nil {
		c.t.Fatal(err)
	}
}

func (c *h1) get(path string) { c.send("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n") }

// header reads the header of an answer.
func (c *h1) header() *http.Response {
	c.t.Helper()
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return res
}

// answer reads a whole answer.
func (c *h1) answer() *http.Response {
	c.t.Helper()
	res := c.header()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		c.t.Fatal(err)
	}
	return res
}

// ended waits for the server to close in order.
func (c *h1) ended() {
	c.t.Helper()
	if _, err := c.r.ReadByte(); !errors.Is(err, io.EOF) {
		c.t.Errorf("reading at the end: %v, want EOF", err)
	}
}

// h2 is an HTTP/2 connection, spoken by hand.
type h2 struct {
	net.Conn
	t      *testing.T
	framer *http2.Framer
	next   uint32
}

func (f *fixture) h2(identity ...[]byte) *h2 {
	f.t.Helper()
	conn := f.dial("h2", identity...)
	c := &h2{Conn: conn, t: f.t, framer: http2.NewFramer(conn, conn), next: 1}
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		f.t.Fatal(err)
	}
	c.check(c.framer.WriteSettings())
	return c
}

func (c *h2) check(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// get opens a stream.
func (c *h2) get(path string) (stream uint32) {
	c.t.Helper()
	var block strings.Builder
	encoder := hpack.NewEncoder(&block)
	for _, field := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "localhost"}, {":path", path}} {
		c.check(encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}))
	}
	stream = c.next
	c.next += 2
	c.check(c.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: stream, BlockFragment: []byte(block.String()), EndStream: true, EndHeaders: true,
	}))
	return stream
}

// until reads frames up to the first that satisfies f.
func (c *h2) until(what string, f func(http2.Frame) bool) {
	c.t.Helper()
	for {
		frame, err := c.framer.ReadFrame()
		if err != nil {
			c.t.Fatalf("waiting for %s: %v", what, err)
		}
		if f(frame) {
			return
		}
	}
}

// untilHeaders returns the status.
func (c *h2) untilHeaders(stream uint32) (status string) {
	c.t.Helper()
	c.until("an answer's header", func(frame http2.Frame) bool {
		headers, ok := frame.(*http2.MetaHeadersFrame)
		if !ok || headers.StreamID != stream {
			return false
		}
		status = headers.PseudoValue("status")
		return true
	})
	return status
}

func (c *h2) untilEnd(stream uint32) {
	c.t.Helper()
	c.until("the end of a stream", func(frame http2.Frame) bool {
		switch frame := frame.(type) {
		case *http2.DataFrame:
			return frame.StreamID == stream && frame.StreamEnded()
		case *http2.MetaHeadersFrame:
			return frame.StreamID == stream && frame.StreamEnded()
		case *http2.RSTStreamFrame:
			c.t.Fatalf("stream %d was reset: %v", frame.StreamID, frame.ErrCode)
		}
		return false
	})
}

func (c *h2) untilGoAway() {
	c.t.Helper()
	c.until("GOAWAY", func(frame http2.Frame) bool {
		goAway, ok := frame.(*http2.GoAwayFrame)
		if ok && goAway.ErrCode != http2.ErrCodeNo {
			c.t.Errorf("GOAWAY with %v", goAway.ErrCode)
		}
		return ok
	})
}

func (c *h2) ended() {
	c.t.Helper()
	for {
		if _, err := c.framer.ReadFrame(); err != nil {
			if !errors.Is(err, io.EOF) {
				c.t.Errorf("reading at the end: %v, want EOF", err)
			}
			return
		}
	}
}
