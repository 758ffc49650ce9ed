package listeners

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"
)

// http3Frame is a frame of HTTP/3 (RFC 9114 section 7.1).
func http3Frame(kind uint64, payload []byte) []byte {
	b := quicvarint.Append(nil, kind)
	b = quicvarint.Append(b, uint64(len(payload)))
	return append(b, payload...)
}

func http3Headers(fields ...string) []byte {
	var block bytes.Buffer
	enc := qpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		_ = enc.WriteField(qpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return http3Frame(1, block.Bytes())
}

func http3Data(p string) []byte { return http3Frame(0, []byte(p)) }

// rawStream sends a request of HTTP/3 in pieces on a stream of its own and
// returns how it was answered: with a status, or by a reset and its code.
func rawStream(t *testing.T, conn *quic.Conn, pieces ...[]byte) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	str, err := conn.OpenStreamSync(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_ = str.SetDeadline(time.Now().Add(patience))
	for _, piece := range pieces {
		if _, err := str.Write(piece); err != nil {
			break // it was told to stop
		}
	}
	_ = str.Close()
	answer, err := io.ReadAll(str)
	var reset *quic.StreamError
	if errors.As(err, &reset) {
		return fmt.Sprintf("%#x", uint64(reset.ErrorCode))
	}
	if err != nil {
		t.Fatal(err)
	}
	r := bytes.NewReader(answer)
	if kind, err := quicvarint.Read(r); err != nil || kind != 1 {
		t.Fatalf("the answer begins with %x, %v", answer, err)
	}
	n, err := quicvarint.Read(r)
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, n)
	if _, err := io.ReadFull(r, block); err != nil {
		t.Fatal(err)
	}
	field, err := qpack.NewDecoder().Decode(block)()
	if err != nil || field.Name != ":status" {
		t.Fatalf("%v, %v", field, err)
	}
	return field.Value
}

// As TestABodyOfAnotherLengthThanDeclaredNeverReachesTheUpstreamWhole has it
// for HTTP/2.
func TestABodyOverHTTP3IsAsLongAsDeclaredOrFails(t *testing.T) {
	type seen struct {
		length int64
		body   string
		err    error
	}
	bodies := make(chan seen, 1)
	f := newFixture(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			body, err := io.ReadAll(r.Body)
			bodies <- seen{r.ContentLength, string(body), err}
		}
	}, withHTTP3)
	c := f.quic(f.clientTLS(nil))
	c.get(t, "/first")
	for _, s := range []struct {
		length string
		parts  []string
		fails  bool
	}{
		{"5", nil, true},
		{"5", []string{"abcd"}, true},
		{"1", nil, true},
		{"4", []string{"abcde"}, true},
		{"4", []string{"abcd", "e"}, true},
		{"4", []string{"ab", "cde"}, true},
		{"4", []string{"abcd"}, false},
		{"4", []string{"a", "", "bcd", ""}, false},
		{"1", []string{"a"}, false},
	} {
		pieces := [][]byte{http3Headers(":method", "POST", ":scheme", "https", ":authority", "localhost", ":path", "/", "content-length", s.length)}
		var want string
		for _, part := range s.parts {
			pieces = append(pieces, http3Data(part))
			want += part
		}
		answer := rawStream(t, c.last(), pieces...)
		got := <-bodies
		if s.fails && (got.err == nil || int64(len(got.body)) >= got.length) || !s.fails && (got.err != nil || got.body != want || answer != "200") {
			t.Errorf("%s of %s: %+v, %s", s.parts, s.length, got, answer)
		}
	}
	// What is to be empty is so, or has no length that is known.
	for _, part := range []string{"", "a"} {
		rawStream(t, c.last(), http3Headers(":method", "POST", ":scheme", "https", ":authority", "localhost", ":path", "/", "content-length", "0"), http3Data(part))
		if got := <-bodies; part == "" && (got.length != 0 || got.err != nil) || part != "" && (got.length != -1 || got.err == nil) {
			t.Errorf("%q of 0: %+v", part, got)
		}
	}
}
