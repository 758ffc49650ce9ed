package main

import (
	"bytes"
	"errors"
	"io"
	"strconv"
)

// reader reads HTTP/1.1 messages whose peer is trusted.
type reader struct {
	r          io.Reader
	buffer     []byte
	start, end int // what is read and not passed on
}

func newReader(r io.Reader) *reader { return &reader{r: r, buffer: make([]byte, 32<<10)} }

var errTooLong = errors.New("the head is too long")

// fill reads more.
func (r *reader) fill() error {
	if r.start == r.end {
		r.start, r.end = 0, 0
	}
	if r.end == len(r.buffer) {
		if r.start == 0 {
			return errTooLong
		}
		r.end = copy(r.buffer, r.buffer[r.start:r.end])
		r.start = 0
	}
	n, err := r.r.Read(r.buffer[r.end:])
	r.end += n
	if n > 0 {
		return nil
	}
	return err
}

// until returns the length of what is read up to the end of separator.
func (r *reader) until(separator string) (int, error) {
	for {
		if i := bytes.Index(r.buffer[r.start:r.end], []byte(separator)); i >= 0 {
			return i + len(separator), nil
		}
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
}

// pass writes the next message to w, as its parts come.
func (r *reader) pass(w io.Writer) error {
	n, err := r.until("\r\n\r\n")
	if err != nil {
		return err
	}
	length, chunked := framing(r.buffer[r.start : r.start+n])
	if chunked {
		return r.passChunks(w, n)
	}
	return r.passBytes(w, n+length)
}

// passBytes writes the next n bytes.
func (r *reader) passBytes(w io.Writer, n int) error {
	for {
		part := min(n, r.end-r.start)
		if _, err := w.Write(r.buffer[r.start : r.start+part]); err != nil {
			return err
		}
		r.start += part
		if n -= part; n == 0 {
			return nil
		}
		if err := r.fill(); err != nil {
			return err
		}
	}
}

// passChunks writes n bytes, and the chunks that follow.
func (r *reader) passChunks(w io.Writer, n int) error {
	for last := false; !last; {
		if err := r.passBytes(w, n); err != nil {
			return err
		}
		line, err := r.until("\r\n")
		if err != nil {
			return err
		}
		size, err := strconv.ParseUint(string(r.buffer[r.start:r.start+line-2]), 16, 31)
		if err != nil {
			return err
		}
		n, last = line+int(size)+2, size == 0
	}
	return r.passBytes(w, n)
}

// framing says how long a message's body is.
func framing(head []byte) (length int, chunked bool) {
	for line := range bytes.Lines(head) {
		name, value, ok := bytes.Cut(line, []byte(":"))
		switch {
		case !ok:
		case bytes.EqualFold(name, []byte("Content-Length")):
			length, _ = strconv.Atoi(string(bytes.TrimSpace(value)))
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = true
		}
	}
	return length, chunked
}
