package routes

import "encoding/binary"

// frames finds the ends of WebSocket frames and messages in a stream of bytes,
// in either direction (RFC 6455 section 5.2). It checks nothing else: the peers
// refuse frames that are not valid. The zero value is at the beginning of a stream.
type frames struct {
	header  [14]byte
	have    int    // bytes of header so far
	payload uint64 // bytes of payload still to come
	message bool   // a fragmented message has begun
	closed  bool   // a close frame has passed
}

// whole reports whether the last frame has ended.
func (f *frames) whole() bool { return f.have == 0 && f.payload == 0 }

// between reports whether the last message has ended: where whole, but not
// between, only control frames may stand.
func (f *frames) between() bool { return f.whole() && !f.message }

// next reads p up to the first end of a frame, and returns how many bytes that
// was; -1 when p ends before.
func (f *frames) next(p []byte) int {
	for i := 0; i < len(p); {
		if f.payload > 0 {
			n := min(uint64(len(p)-i), f.payload)
			f.payload -= n
			i += int(n)
			if f.payload == 0 {
				return i
			}
			continue
		}
		f.header[f.have] = p[i]
		f.have++
		i++
		if f.have == f.headerLen() && f.begin() {
			return i
		}
	}
	return -1
}

// headerLen is the length of the header, as far as it is known by now.
func (f *frames) headerLen() int {
	if f.have < 2 {
		return 2
	}
	n := 2
	switch f.header[1] & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if f.header[1]&0x80 != 0 {
		n += 4 // the masking key
	}
	return n
}

const opClose = 0x8

// begin takes note of a complete header, and reports whether the frame ends
// with it.
func (f *frames) begin() bool {
	switch n := f.header[1] & 0x7f; n {
	case 126:
		f.payload = uint64(binary.BigEndian.Uint16(f.header[2:]))
	case 127:
		f.payload = binary.BigEndian.Uint64(f.header[2:])
	default:
		f.payload = uint64(n)
	}
	final, opcode := f.header[0]&0x80 != 0, f.header[0]&0x0f
	if opcode == opClose {
		f.closed = true
	}
	if opcode < opClose { // control frames stand between fragments
		f.message = !final
	}
	f.have = 0
	return f.payload == 0
}

// The status codes of close frames (RFC 6455 section 7.4.1).
const (
	statusGoingAway       = 1001
	statusPolicyViolation = 1008
)

// closeFrame is a close frame. A client masks its frames, with any key: a zero
// key leaves the payload as it is.
func closeFrame(status uint16, masked bool) []byte {
	if masked {
		return binary.BigEndian.AppendUint16([]byte{0x80 | opClose, 0x80 | 2, 0, 0, 0, 0}, status)
	}
	return binary.BigEndian.AppendUint16([]byte{0x80 | opClose, 2}, status)
}
