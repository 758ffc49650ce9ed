package sse

import (
	"bytes"
	"io"
	"strconv"
	"strings"
)

// Writer writes events to a stream, each with one Write.
type Writer struct {
	out   io.Writer
	flush func() error
	buf   []byte
}

// NewWriter returns a Writer to w. flush is called after each event and
// comment; it may be nil. For an http.ResponseWriter it is
// http.NewResponseController(w).Flush.
func NewWriter(w io.Writer, flush func() error) *Writer {
	return &Writer{out: w, flush: flush}
}

// Event writes one event. An Event without name, id and retry has its data
// alone; Event.ID is written when HasID is set.
func (w *Writer) Event(e Event) error {
	w.buf = appendEvent(w.buf[:0], e)
	return w.write()
}

// Comment writes an empty comment, which keeps an idle stream alive and which clients
// do not see.
func (w *Writer) Comment() error {
	w.buf = append(w.buf[:0], ": \n\n"...)
	return w.write()
}

func (w *Writer) write() error {
	_, err := w.out.Write(w.buf)
	if cap(w.buf) > 64<<10 {
		w.buf = nil // one long event must not be held as long as the stream
	}
	if err != nil || w.flush == nil {
		return err
	}
	return w.flush()
}

// appendEvent appends the bytes of an event.
func appendEvent(b []byte, e Event) []byte {
	if e.Name != "" {
		b = appendField(b, "event", e.Name)
	}
	if e.HasID && strings.IndexByte(e.ID, 0) < 0 { // readers ignore one with NUL
		b = appendField(b, "id", e.ID)
	}
	if e.HasRetry {
		b = appendField(b, "retry", strconv.FormatInt(e.Retry.Milliseconds(), 10))
	}
	return append(appendData(b, e.Data), '\n')
}

// appendField appends a field of one line. What follows a line break is left
// away: it could pass for a field of its own.
func appendField(b []byte, name, value string) []byte {
	if i := strings.IndexAny(value, "\r\n"); i >= 0 {
		value = value[:i]
	}
	return append(append(append(append(b, name...), ": "...), value...), '\n')
}

// appendData appends a field for each line of data.
func appendData(b, data []byte) []byte {
	for {
		end := bytes.IndexAny(data, "\r\n")
		if end < 0 {
			return append(append(append(b, "data: "...), data...), '\n')
		}
		b = append(append(append(b, "data: "...), data[:end]...), '\n')
		if bytes.HasPrefix(data[end:], []byte("\r\n")) {
			end++
		}
		data = data[end+1:]
	}
}
