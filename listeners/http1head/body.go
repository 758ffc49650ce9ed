package http1head

const (
	// maxChunkLine bounds a chunk's size with its extensions, in bytes.
	maxChunkLine = 4 << 10
	// maxTrailer bounds the lines after the last chunk, in bytes.
	maxTrailer = 64 << 10
)

// Spoiled makes every reader of a body in chunks fail, at whatever byte it
// stands: as a chunk's size, as the end of a chunk and as a line of the trailer.
const Spoiled = "\x00\n\x00\r\n\r\n"

// Body follows the bytes of a body to its end.
type Body struct {
	state bodyState
	left  uint64 // of the data: all, or of a chunk
	line  int    // length of the chunk's line, or of the trailer, so far
	size  int    // digits of the chunk's size so far
}

type bodyState int

const (
	bodyDone bodyState = iota
	bodyData           // as long as Content-Length says
	chunkSize
	chunkPadding // white space after the size
	chunkExtension
	chunkLineLF // the line feed of the size's line
	chunkData
	chunkCR
	chunkLF
	trailerStart // at the start of a line of the trailer
	trailerLine
	trailerLineLF
	trailerLF // the line feed of the empty line that ends all
)

// Body is what follows the head.
func (h *Head) Body() Body {
	switch {
	case h.Length == Chunked:
		return Body{state: chunkSize}
	case h.Length > 0:
		return Body{state: bodyData, left: uint64(h.Length)}
	}
	return Body{}
}

// Done reports whether the body has ended.
func (b *Body) Done() bool { return b.state == bodyDone }

// Follow reads on in p, and returns how many of its bytes belong to the body.
// After an error that is up to the byte that is wrong.
func (b *Body) Follow(p []byte) (n int, err error) {
	for n < len(p) && b.state != bodyDone {
		if b.state == bodyData || b.state == chunkData {
			step := min(uint64(len(p)-n), b.left)
			n += int(step)
			if b.left -= step; b.left == 0 {
				b.endData()
			}
			continue
		}
		if err := b.step(p[n]); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func (b *Body) endData() {
	if b.state == chunkData {
		b.state = chunkCR
		return
	}
	b.state = bodyDone
}

// step takes one byte of what is not data (RFC 9112 section 7.1).
func (b *Body) step(c byte) error {
	switch b.state {
	case chunkSize, chunkPadding, chunkExtension:
		return b.sizeLine(c)
	case chunkLineLF:
		if c != '\n' {
			return errControl
		}
		b.state = chunkData
		if b.left == 0 {
			b.state = trailerStart
		}
		b.line, b.size = 0, 0
	case chunkCR:
		if c != '\r' {
			return errChunkEnd
		}
		b.state = chunkLF
	case chunkLF:
		if c != '\n' {
			return errChunkEnd
		}
		b.state = chunkSize
	default:
		return b.trailer(c)
	}
	return nil
}

// sizeLine takes a byte of the line before a chunk.
func (b *Body) sizeLine(c byte) error {
	if b.line++; b.line > maxChunkLine {
		return errChunkLine
	}
	digit, isHex := hex(c)
	switch {
	case isHex && b.state == chunkSize:
		if b.size++; b.size > 15 { // 15 digits fit into 63 bits
			return errChunk
		}
		b.left = b.left<<4 | digit
	case b.state != chunkExtension && b.size == 0:
		return errChunk
	case c == '\r':
		b.state = chunkLineLF
	case c == '\n':
		return errBareLF
	case b.state == chunkExtension:
		if !printable([]byte{c}, true) {
			return errControl
		}
	case c == ';':
		b.state = chunkExtension
	case c == ' ', c == '\t':
		b.state = chunkPadding
	default:
		return errChunk
	}
	return nil
}

// trailer takes a byte of what follows the last chunk.
func (b *Body) trailer(c byte) error {
	if b.line++; b.line > maxTrailer {
		return errTrailer
	}
	switch {
	case b.state == trailerLineLF && c == '\n':
		b.state = trailerStart
	case b.state == trailerLF && c == '\n':
		b.state = bodyDone
	case b.state == trailerLineLF, b.state == trailerLF:
		return errControl
	case c == '\n':
		return errBareLF
	case c == '\r' && b.state == trailerStart:
		b.state = trailerLF
	case c == '\r':
		b.state = trailerLineLF
	case b.state == trailerStart && (c == ' ' || c == '\t'):
		return errFolded
	case b.state == trailerStart && !isToken(c):
		return errName
	case !printable([]byte{c}, true):
		return errControl
	default:
		b.state = trailerLine
	}
	return nil
}

func hex(c byte) (uint64, bool) {
	switch {
	case '0' <= c && c <= '9':
		return uint64(c - '0'), true
	case 'a' <= c && c <= 'f':
		return uint64(c-'a') + 10, true
	case 'A' <= c && c <= 'F':
		return uint64(c-'A') + 10, true
	}
	return 0, false
}
