package listeners

import (
	"errors"
	"fmt"
	"net"

	"github.com/mcpgateway/mcpgateway/listeners/http1head"
)

// maxKept is how much of the room for a head, in bytes, is kept for the next one.
const maxKept = 4 << 10

// framing follows the requests of an HTTP/1.1 connection before net/http sees
// them. net/http gets no head whole that http1head refuses, so that it acts on
// none, and no body beyond the byte that is wrong.
//
// It is used by the reader of the connection, one at a time.
type framing struct {
	parser http1head.Parser
	body   http1head.Body
	head   []byte // what earlier reads brought of a head that is incomplete
	empty  int    // bytes of an empty line before the next head
	// failure says why the connection ends; nothing is read after it.
	failure error
	// spoiled is what net/http has still to be given in place of a body's rest.
	spoiled string
	// withheld is what net/http was not given.
	withheld []byte
	answered bool // the failure has had its answer, or gets it otherwise
	heads    *heads
	charged  int // bytes of head
}

// pass looks at what was read, and returns how much of it net/http may have: it
// moves that to the front of p.
func (f *framing) pass(p []byte) int {
	out := 0
	for in := 0; in < len(p) && f.failure == nil; {
		if !f.body.Done() {
			n, err := f.body.Follow(p[in:])
			out += copy(p[out:], p[in:in+n])
			in += n
			if err != nil {
				f.fail(err, p[in:])
				f.answered, f.spoiled = true, http1head.Spoiled // the request's handler answers
			}
			continue
		}
		if len(f.head) == 0 {
			if skipped := f.skipEmptyLine(p[in:]); skipped > 0 {
				in += skipped
				continue
			}
		}
		n, err := f.readHead(p[in:])
		if err != nil {
			f.fail(err, p[in:])
			continue
		}
		out += copy(p[out:], p[in:in+n])
		in += n
	}
	return out
}

func (f *framing) fail(err error, withheld []byte) {
	f.failure = err
	f.withheld = append([]byte(nil), withheld...)
}

// skipEmptyLine returns how much of an empty line p begins with, which a server
// should ignore before a request (RFC 9112 section 2.2). One is.
func (f *framing) skipEmptyLine(p []byte) (n int) {
	const line = "\r\n"
	for n < len(p) && f.empty < len(line) && p[n] == line[f.empty] {
		f.empty++
		n++
	}
	if f.empty == 1 && n < len(p) {
		// It begins the request instead, which is refused for it.
		f.head = append(f.head, '\r')
		f.empty = len(line)
	}
	return n
}

// readHead returns how much of p belongs to the head.
func (f *framing) readHead(p []byte) (int, error) {
	whole := p
	if len(f.head) > 0 {
		f.head = append(f.head, p...)
		whole = f.head
	}
	head, n, err := f.parser.Parse(whole)
	switch {
	case errors.Is(err, http1head.ErrIncomplete):
		if len(f.head) == 0 {
			f.head = append(f.head, p...)
		}
		if more := len(f.head) - f.charged; len(f.head) > shortHead {
			if !f.heads.grow(more) {
				return 0, refusedMemory
			}
			f.charged += more
		}
		return len(p), nil
	case err != nil:
		return 0, err
	}
	n -= len(whole) - len(p)
	f.body = head.Body()
	f.parser, f.empty = http1head.Parser{}, 0
	if f.charged > 0 {
		f.heads.end()
		f.charged = 0
	}
	if f.head = f.head[:0]; cap(f.head) > maxKept {
		f.head = nil
	}
	return n, nil
}

// errRefused ends net/http's reading of a connection, without an answer of its
// own: that is how it takes errors of the network.
var errRefused = &net.OpError{Op: "read", Net: "http", Err: errors.New("the request was refused")}

// refuse answers a request that the framing has refused, as soon as those before
// it have their answers: that is when net/http reads on.
func (w *httpConn) refuse(p []byte, watching bool) (int, error) {
	f := w.framing
	switch {
	case f.spoiled != "":
		// An error would tell net/http that the client has gone, and it would
		// cancel the request. It finds this to be malformed instead.
		n := copy(p, f.spoiled)
		f.spoiled = f.spoiled[n:]
		return n, nil
	case watching:
		// net/http takes this for the end of its watch, and an error for the end
		// of the client, which still waits for the answer in progress.
		return 0, nil
	case f.answered:
		return 0, errRefused
	}
	f.answered = true
	w.conn.server.trace.error(w.conn.server.config.Name, fmt.Sprintf("%s was refused: %v", w.conn.raw.RemoteAddr(), f.failure))
	var refusal *http1head.Error
	if !errors.As(f.failure, &refusal) {
		return 0, f.failure
	}
	if refuseRaw(w.Conn, refusal) == nil {
		awaitClose(w.Conn)
	}
	return 0, errRefused
}
