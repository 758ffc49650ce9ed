package http1head

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"
)

// FuzzRequest compares with net/http: of a request that is accepted here,
// net/http may think ill, but it sees it end nowhere else.
func FuzzRequest(f *testing.F) {
	for _, test := range accepted {
		f.Add([]byte(test.head))
	}
	for _, test := range refused {
		f.Add([]byte(test.head))
	}
	f.Add([]byte("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\n\n\r\n\r\n"))
	const chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, body := range bodies {
		data, _ := cut(body)
		f.Add([]byte(chunked + data))
	}
	for _, test := range brokenBodies {
		data, _ := cut(test.body)
		f.Add([]byte(chunked + data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		head, n, err := parse(data)
		if err != nil {
			var refusal *Error
			if n != 0 || !errors.Is(err, ErrIncomplete) && !errors.As(err, &refusal) {
				t.Fatalf("got %d, %v", n, err)
			}
			return
		}
		body := head.Body()
		length, bodyErr := body.Follow(data[n:])

		unread := bytes.NewReader(data)
		buffered := bufio.NewReader(unread)
		r, err := http.ReadRequest(buffered)
		if err != nil {
			return
		}
		if r.Method != string(head.Method) || r.RequestURI != string(head.Target) || r.ProtoMajor != 1 || r.ProtoMinor != head.Minor {
			t.Errorf("net/http reads %s %s %s", r.Method, r.RequestURI, r.Proto)
		}
		if chunked := len(r.TransferEncoding) > 0; chunked != (head.Length == Chunked) || r.ContentLength != head.Length {
			t.Errorf("net/http reads a length of %d, chunked %v; got %d", r.ContentLength, chunked, head.Length)
		}
		if bodyErr != nil {
			spoiled := append(data[:n+length:n+length], Spoiled...)
			r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(spoiled)))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, r.Body); err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("net/http takes %q, %v", spoiled, err)
			}
			return
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		if !body.Done() {
			t.Fatal("net/http finds the body's end, and we do not")
		}
		if end := len(data) - unread.Len() - buffered.Buffered(); end != n+length {
			t.Errorf("net/http finds the end at %d, and we at %d", end, n+length)
		}
	})
}
