package sse

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/memory"
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
	// Skimmed has got the data, and Data is nil, where that was too long.
	Skimmed io.Writer
	// Retry is the reconnection time that the event set; HasRetry tells
	// whether it set one.
	Retry    time.Duration
	HasRetry bool
}

// Reader reads the events of a stream.
type Reader struct {
	// Skim, if not nil, makes what takes the data of an event that is too long:
	// a part after the other, while they are read. Without it such an event
	// ends the stream. short says that there was no memory for it.
	Skim func(short bool) io.Writer
	// Lease is charged what the last event takes, from when it is read until the
	// next one is wanted or the Reader is closed. An event for which there is no
	// memory is too long. The zero Lease charges nothing.
	Lease memory.Lease

	// more are further parts of a line that is passed over, short says that there
	// was no memory for it.
	more   [][]byte
	short  bool
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

// Close gives back what the last event was charged.
func (r *Reader) Close() { r.Lease.Release() }

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
	r.Lease.Release()
	for {
		before := r.Lease.Held()
		line, whole, own, err := r.line(r.max - size)
		if err != nil {
			return Event{}, err
		}
		if !whole {
			if err := r.skim(&event, line, data, before); err != nil {
				return Event{}, err
			}
			if event.Skimmed != nil {
				data, size = true, 0
			}
			continue
		}
		if len(line) == 0 {
			if data || event.HasID || event.HasRetry {
				event.ID = r.lastID
				return event, nil
			}
			event, size = Event{}, 0
			r.Lease.Release()
			continue
		}
		size += len(line)
		name, value, _ := bytes.Cut(line, []byte{':'})
		value = bytes.TrimPrefix(value, []byte{' '})
		switch string(name) {
		case "":
			// A comment, which is not kept.
			size -= len(line)
			r.Lease.Shrink(int(r.Lease.Held() - before))
		case "event":
			event.Name = string(value)
		case "data":
			if event.Skimmed == nil && data && r.Skim != nil && r.Lease.Grow(len(value)) != nil {
				r.skimFrom(&event, true)
			}
			if event.Skimmed != nil {
				_, _ = event.Skimmed.Write(append([]byte{'\n'}, value...))
				size = 0
				continue
			}
			if data {
				event.Data = append(event.Data, '\n')
			}
			data = true
			if own && event.Data == nil {
				event.Data = value
			} else {
				event.Data = append(event.Data, value...)
			}
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

// maxName is longer than the name of a field that may be long.
const maxName = 16

// skim goes on from the beginning of a line that makes the event too long, to
// its end. data says that the event had data before. Of fields only data may be
// long; comments are passed over. before is what was charged without this line.
func (r *Reader) skim(event *Event, begin []byte, data bool, before int64) error {
	name, value, _ := bytes.Cut(begin, []byte{':'})
	switch {
	case r.Skim == nil:
		return ErrTooLong
	case len(begin) > 0 && begin[0] == ':':
		r.Lease.Shrink(int(r.Lease.Held() - before))
		return r.rest(io.Discard)
	case string(name) != "data":
		return ErrTooLong
	}
	if event.Skimmed == nil {
		r.skimFrom(event, r.short)
	}
	if data {
		_, _ = event.Skimmed.Write([]byte{'\n'})
	}
	_, _ = event.Skimmed.Write(bytes.TrimPrefix(value, []byte{' '}))
	return r.rest(event.Skimmed)
}

// skimFrom has the data of an event skimmed, and keeps none of it.
func (r *Reader) skimFrom(event *Event, short bool) {
	event.Skimmed = r.Skim(short)
	_, _ = event.Skimmed.Write(event.Data)
	event.Data = nil
	r.Lease.Release()
}

// rest gives w what is left of a line, and takes its end.
func (r *Reader) rest(w io.Writer) error {
	for _, p := range r.more {
		_, _ = w.Write(p)
	}
	r.more = nil
	for {
		if _, err := r.in.Peek(1); err != nil {
			return err
		}
		buf, _ := r.in.Peek(r.in.Buffered())
		end := bytes.IndexAny(buf, "\r\n")
		if end < 0 {
			_, _ = w.Write(buf)
			r.discard(len(buf))
			continue
		}
		_, _ = w.Write(buf[:end])
		r.endLine(buf, end)
		return nil
	}
}

// line returns the next line without its end, which is CR, LF or CRLF. It is
// valid until the next call, or if own is set the caller's. Of one that is longer
// than most, or for which there is no memory, it returns the beginning, with the
// whole name of its field, and rest goes on behind that: whole is false.
func (r *Reader) line(most int) (line []byte, whole, own bool, err error) {
	var long memory.Buffer
	for {
		if _, err := r.in.Peek(1); err != nil {
			return nil, false, false, err
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
		n, whole := long.Len()+end, end < len(buf)
		over := n > most && (n >= maxName || whole)
		if !over && (!whole || long.Len() > 0) && r.Skim != nil && n >= maxName {
			takes := end
			if whole {
				takes += n // put together
			}
			over = r.Lease.Grow(takes) != nil
		}
		switch {
		case over:
			long.Write(buf[:end])
			r.discard(end) // rest takes the end
			r.short = n <= most
			parts := append(long.Parts(), nil)
			r.more = parts[1:]
			return parts[0], false, true, nil
		case !whole:
			long.Write(buf)
			r.discard(end)
		case long.Len() == 0:
			line = buf[:end]
			r.endLine(buf, end)
			return line, true, false, nil
		default:
			long.Write(buf[:end])
			r.endLine(buf, end)
			return long.Bytes(), true, true, nil
		}
	}
}

// endLine takes a line and its end, which is at a place in what is buffered.
func (r *Reader) endLine(buf []byte, end int) {
	r.skipLF = buf[end] == '\r'
	r.discard(end + 1)
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
