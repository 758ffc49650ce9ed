package routes

import (
	"bufio"
	"io"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// http2Peer is a connection of HTTP/2 to the gateway on which a test writes what
// it likes.
type http2Peer struct {
	*http2.Framer
	t      *testing.T
	header strings.Builder
	hpack  *hpack.Encoder
}

func (g *gateway) http2Peer(t *testing.T) *http2Peer {
	t.Helper()
	c := g.dial()
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	f := &http2Peer{Framer: http2.NewFramer(c, bufio.NewReader(c)), t: t}
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.hpack = hpack.NewEncoder(&f.header)
	_ = f.WriteSettings()
	return f
}

// request begins a stream with a POST and further fields; pseudo-header fields,
// which come first, take the place of those of the POST.
func (f *http2Peer) request(id uint32, ends bool, fields ...string) {
	f.header.Reset()
	all := []string{":method", "POST", ":scheme", "http", ":authority", "x", ":path", "/"}
	for ; len(fields) > 0 && fields[0][0] == ':'; fields = fields[2:] {
		all[slices.Index(all, fields[0])+1] = fields[1]
	}
	for all = append(all, fields...); len(all) > 0; all = all[2:] {
		_ = f.hpack.WriteField(hpack.HeaderField{Name: all[0], Value: all[1]})
	}
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte(f.header.String()), EndHeaders: true, EndStream: ends})
}

// next is the next answer on a stream: a status, or RST_STREAM and its code.
func (f *http2Peer) next() string {
	f.t.Helper()
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			f.t.Fatal(err)
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			return frame.PseudoValue("status")
		case *http2.RSTStreamFrame:
			return "RST_STREAM " + frame.ErrCode.String()
		case *http2.GoAwayFrame:
			return "GOAWAY " + frame.ErrCode.String()
		}
	}
}

// answer is the next header of an answer.
func (f *http2Peer) answer() *http2.MetaHeadersFrame {
	f.t.Helper()
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			f.t.Fatal(err)
		}
		if h, ok := frame.(*http2.MetaHeadersFrame); ok {
			return h
		}
	}
}

// field is the value of a field.
func field(h *http2.MetaHeadersFrame, name string) string {
	for _, f := range h.RegularFields() {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}
