package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestMessagesPassUnchanged(t *testing.T) {
	messages := []string{
		"GET /json?text=a HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /mcp HTTP/1.1\r\nHost: a\r\ncontent-length: 5\r\n\r\nhello",
		"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100_000),
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n" + strings.Repeat("x", 100_000) + "\r\n0\r\n\r\n",
	}
	all := strings.Join(messages, "")
	for name, in := range map[string]io.Reader{"whole": strings.NewReader(all), "bytes": iotest.OneByteReader(strings.NewReader(all))} {
		r := newReader(in)
		for _, want := range messages {
			var out bytes.Buffer
			if err := r.pass(&out); err != nil || out.String() != want {
				t.Fatalf("%s: %.80q passed as %.80q (%v)", name, want, out.String(), err)
			}
		}
		if err := r.pass(io.Discard); err != io.EOF {
			t.Errorf("%s: the end is %v", name, err)
		}
	}
}
