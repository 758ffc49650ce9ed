package listeners

import (
	"bytes"
	"net/http"
)

// framing says how the length of a request's body is given.
type framing int

const (
	framingClear     framing = iota
	framingAmbiguous         // by Content-Length and by Transfer-Encoding
	framingUnseen            // the header was not recorded whole
)

// maxKept is what of a tape's room is kept for the next request.
const maxKept = 4 << 10

// tape holds the header of a request as it came over HTTP/1.1. net/http drops
// the Content-Length beside a Transfer-Encoding, and with it the only sign that
// somebody else on the way may see this request end elsewhere (RFC 9112 section
// 6.1). It grows no longer than net/http reads a header.
//
// It is used by whoever reads from the connection, one at a time.
type tape struct {
	running bool
	header  []byte
}

// start begins with the next request, unless it has begun.
func (t *tape) start() {
	if t.running {
		return
	}
	t.running = true
	if cap(t.header) > maxKept {
		t.header = nil
	}
	t.header = t.header[:0]
}

// stop is called when the header has been read.
func (t *tape) stop() { t.running = false }

func (t *tape) record(p []byte) {
	if t.running {
		t.header = append(t.header, p...)
	}
}

// framing looks at the header of r. A client that sends requests in advance has
// the first part of the next one read together with the one before; no header
// line looks like a request line, so that is always recognised.
func (t *tape) framing(r *http.Request) framing {
	// After a POST net/http skips an empty line.
	line, rest, _ := bytes.Cut(bytes.TrimLeft(t.header, "\r\n"), []byte("\n"))
	if string(bytes.TrimSuffix(line, []byte("\r"))) != r.Method+" "+r.RequestURI+" "+r.Proto {
		return framingUnseen
	}
	found := framingClear
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\n"))
		name, _, _ := bytes.Cut(line, []byte(":"))
		switch {
		case len(bytes.TrimSuffix(line, []byte("\r"))) == 0:
			return found
		case bytes.EqualFold(name, []byte("Content-Length")):
			found = framingAmbiguous
		}
	}
	return framingUnseen
}
