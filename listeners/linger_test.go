package listeners

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/quicvarint"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const tooMuch = "too much\n"

// refuseEarly answers before it has read the body.
func refuseEarly(w http.ResponseWriter, r *http.Request) {
	_, _ = io.ReadFull(r.Body, make([]byte, 1000))
	w.WriteHeader(http.StatusRequestEntityTooLarge)
	_, _ = io.WriteString(w, tooMuch)
}

// longBody is more than the windows of a stream hold.
const longBody = 8 * streamWindow

// sendWhole sends a body on an open stream of HTTP/2, as fast as there is room,
// and looks at what else comes only then.
func (c *h2) sendWhole(stream uint32, length int) (answer []string) {
	c.t.Helper()
	room := map[uint32]int{0: 65535, stream: 65535}
	note := func(frame http2.Frame) {
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if size, ok := frame.Value(http2.SettingInitialWindowSize); ok {
				room[stream] += int(size) - 65535
			}
		case *http2.WindowUpdateFrame:
			room[frame.StreamID] += int(frame.Increment)
		case *http2.MetaHeadersFrame:
			answer = append(answer, frame.PseudoValue("status"))
		case *http2.DataFrame:
			answer = append(answer, string(frame.Data()))
			if frame.StreamEnded() {
				answer = append(answer, "end")
			}
		case *http2.RSTStreamFrame:
			answer = append(answer, "reset "+frame.ErrCode.String())
		}
	}
	read := func() bool {
		frame, err := c.framer.ReadFrame()
		if err != nil {
			c.t.Errorf("%v, after %q", err, answer)
			return false
		}
		note(frame)
		return true
	}
	for sent := 0; sent < length; {
		n := min(length-sent, room[0], room[stream], 16<<10)
		if n == 0 {
			if !read() {
				return answer
			}
			continue
		}
		c.check(c.framer.WriteData(stream, sent+n == length, make([]byte, n)))
		sent, room[0], room[stream] = sent+n, room[0]-n, room[stream]-n
	}
	for len(answer) == 0 || answer[len(answer)-1] != "end" {
		if !read() {
			break
		}
	}
	return answer
}

func TestAnEarlyRefusalReachesAClientThatSendsItsBodyFirst(t *testing.T) {
	f := newFixture(t, refuseEarly, withHTTP3)
	f.server.restIdle = patience // a loaded machine may need long for a round trip
	t.Run("HTTP/2", func(t *testing.T) {
		c := f.h2()
		var block strings.Builder
		encoder := hpack.NewEncoder(&block)
		for _, field := range [][2]string{{":method", "POST"}, {":scheme", "https"}, {":authority", "localhost"}, {":path", "/"}} {
			c.check(encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}))
		}
		c.check(c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte(block.String()), EndHeaders: true}))
		if got := strings.Join(c.sendWhole(1, longBody), " "); strings.Join(strings.Fields(got), " ") != "413 too much end" {
			t.Errorf("%q", got)
		}
	})
	t.Run("HTTP/3", func(t *testing.T) {
		c := f.quic(f.clientTLS(nil))
		warm(t, c)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		str, err := c.last().OpenStreamSync(ctx)
		if err != nil {
			t.Fatal(err)
		}
		_ = str.SetDeadline(time.Now().Add(patience))
		if _, err := str.Write(http3Headers(":method", "POST", ":scheme", "https", ":authority", "localhost", ":path", "/")); err != nil {
			t.Fatal(err)
		}
		for range longBody / (16 << 10) {
			if _, err := str.Write(http3Data(string(make([]byte, 16<<10)))); err != nil {
				t.Fatalf("sending: %v", err)
			}
		}
		_ = str.Close()
		answer, err := io.ReadAll(str)
		if err != nil || !bytes.Contains(answer, append(quicvarint.Append(quicvarint.Append(nil, 0), uint64(len(tooMuch))), tooMuch...)) {
			t.Errorf("%q, %v", answer, err)
		}
	})
}

func warm(t *testing.T, c *quicClient) {
	t.Helper()
	res, err := c.Post("https://localhost/", "", strings.NewReader("first"))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
}
