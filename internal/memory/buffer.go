package memory

// Buffer holds bytes that come in pieces. It grows by parts, which are put together
// once: what append copies each time would take more than twice of what there is.
// The zero Buffer is empty.
type Buffer struct {
	parts [][]byte
	size  int
}

// leastBuffer is the least that the first part of a Buffer holds, in bytes.
const leastBuffer = 64

// Write adds a copy of p.
func (b *Buffer) Write(p []byte) {
	b.size += len(p)
	if n := len(b.parts); n > 0 {
		last := &b.parts[n-1]
		fits := min(len(p), cap(*last)-len(*last))
		*last = append(*last, p[:fits]...)
		p = p[fits:]
	}
	if len(p) == 0 {
		return
	}
	room := max(len(p), leastBuffer)
	if n := len(b.parts); n > 0 {
		room = max(len(p), min(2*cap(b.parts[n-1]), part))
	}
	b.parts = append(b.parts, append(make([]byte, 0, room), p...))
}

// Len is the number of bytes.
func (b *Buffer) Len() int { return b.size }

// Parts returns the bytes in their order; all but the last are at least 64.
func (b *Buffer) Parts() [][]byte { return b.parts }

// Bytes returns all bytes in one, which are the caller's, and empties the buffer.
func (b *Buffer) Bytes() []byte {
	var whole []byte
	if len(b.parts) == 1 {
		whole = b.parts[0]
	} else if b.size > 0 {
		whole = make([]byte, 0, b.size)
		for _, p := range b.parts {
			whole = append(whole, p...)
		}
	}
	*b = Buffer{}
	return whole
}
