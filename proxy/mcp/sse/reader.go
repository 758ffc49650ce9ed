package sse

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
)

// ErrTooLong: an event, or one line of it, is longer than the Reader's bound.
var ErrTooLong = errors.New("event is too long")

// Event is one event of a stream.
type Event struct {
	// Name is the event's type; "" is the default, which is called message.
	Name string
	// ID is the last event id of the stream when the event was dispatched:
	// where to resume from. HasID tells whether this event set it.
	ID    string
	HasID bool
	// Data are the lines of data, joined by newlines. An event without data,
	// such as one that only primes the id (MCP 2025-11-25), has nil here; the
	// standard does not dispatch it, MCP wants it seen.
	Data []byte
	// Retry is the reconnection time that the event set; HasRetry tells
	// whether it set one.
	Retry    time.Duration
	HasRetry bool
}

// Reader reads the events of a stream.
type Reader struct {
	in     *bufio.Reader
	max    int
	begun  bool // the byte order mark has been looked for
	skipLF bool // the last line ended with CR, so a LF belongs to its end
	lastID string
}

// NewReader returns a Reader of r, whose events have at most max bytes in all
// their lines.
func NewReader(r io.Reader, max int64) *Reader {
	return &Reader{in: bufio.NewReader(r), max: int(max)}
}

// Next returns the next event that has data, an id or a retry; comments and
// empty events are passed over. What an ended stream left unfinished is no
// event: Next returns io.EOF then, or the error of the stream. The event is
// the caller's to keep.
func (r *Reader) Next() (Event, error) {
	var (
		event Event
		size  int
		data  bool
	)
	for {
		line, err := r.line(r.max - size)
		if err != nil {
			return Event{}, err
		}
		if len(line) == 0 {
			if data || event.HasID || event.HasRetry {
				event.ID = r.lastID
				return event, nil
			}
			event, size = Event{}, 0
			continue
		}
		size += len(line)
		name, value, _ := bytes.Cut(line, []byte{':'})
		value = bytes.TrimPrefix(value, []byte{' '})
		switch string(name) {
		case "":
			size -= len(line) // a comment, which is not kept
		case "event":
			event.Name = string(value)
		case "data":
			if data {
				event.Data = append(event.Data, '\n')
			}
			data = true
			event.Data = append(event.Data, value...)
		case "id":
			if bytes.IndexByte(value, 0) < 0 {
				r.lastID, event.HasID = string(value), true
			}
		case "retry":
			if d, ok := retry(string(value)); ok {
				event.Retry, event.HasRetry = d, true
			}
		}
	}
}

// line returns the next line without its end, which is CR, LF or CRLF. It is
// valid until the next call.
func (r *Reader) line(most int) ([]byte, error) {
	var line []byte
	for {
		if _, err := r.in.Peek(1); err != nil {
			return nil, err
		}
		buf, _ := r.in.Peek(r.in.Buffered())
		// The LF of a CRLF is taken when the next line is wanted, not when the
		// CR is seen: the LF may come late, and the event is complete.
		if r.skipLF {
			if r.skipLF = false; buf[0] == '\n' {
				r.discard(1)
				continue
			}
		}
		if !r.begun {
			r.begun = true
			if mark := "\xef\xbb\xbf"; buf[0] == mark[0] {
				if b, _ := r.in.Peek(len(mark)); string(b) == mark {
					r.discard(len(mark))
				}
				continue
			}
		}
		end := bytes.IndexByte(buf, '\n')
		if end < 0 {
			end = len(buf)
		}
		if cr := bytes.IndexByte(buf[:end], '\r'); cr >= 0 {
			end = cr
		}
		if len(line)+end > most {
			return nil, ErrTooLong
		}
		if end == len(buf) {
			line = append(line, buf...)
			r.discard(end)
			continue
		}
		r.skipLF = buf[end] == '\r'
		r.discard(end + 1)
		if line == nil {
			return buf[:end], nil
		}
		return append(line, buf[:end]...), nil
	}
}

// discard drops bytes that are buffered, which cannot fail.
func (r *Reader) discard(n int) { _, _ = r.in.Discard(n) }

// retry reads a reconnection time in milliseconds: digits only. One beyond a
// day is taken for a day.
func retry(s string) (time.Duration, bool) {
	const most = 24 * time.Hour
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	ms, err := strconv.ParseInt(s, 10, 64)
	if err != nil || ms > most.Milliseconds() {
		return most, true
	}
	return time.Duration(ms) * time.Millisecond, true
}
