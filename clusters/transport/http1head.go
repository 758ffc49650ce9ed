package transport

import (
	"bytes"
	"net/http"
	"net/textproto"
	"strings"
	"sync"
)

const (
	// maxHeadLine bounds how much of a line of a response header is looked at, with
	// the lines by which it goes on.
	maxHeadLine = 8 << 10
	// maxConnectionLines bounds the lines of Connection that are kept.
	maxConnectionLines = 16
)

// headScan reads along the response header of an HTTP/1.1 connection, and notes
// the field Connection. net/http takes away all of it when it holds "close",
// and so the names of the fields that must not pass to the next hop (RFC 9110,
// section 7.6.1).
type headScan struct {
	mu    sync.Mutex
	turn  uint64 // of the connection's requests, the one that is answered
	isCut bool   // nothing that is read goes on to net/http
	on    bool
	first bool // the next line is that of the status
	final bool // that was not 1xx
	line  []byte
	found []string
	last  bool // the line before was of Connection, and may go on
	// interim are the lines of each 1xx answer that net/http has not told of yet.
	interim [][]string
	informs bool
}

// begin awaits the answer to a request, and returns its turn. informs says that
// restoreInterim will be called.
func (s *headScan) begin(informs bool) (turn uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn++
	s.on, s.first, s.line, s.last = true, true, s.line[:0], false
	s.found, s.interim, s.informs = nil, nil, informs
	return s.turn
}

// cut keeps the rest of an answer from net/http, if it is that of the turn and its
// header has not come whole. It reports whether it did: then net/http does not put
// the connection among the idle ones any more.
func (s *headScan) cut(turn uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.turn != turn || !s.on {
		return false
	}
	s.isCut = true
	return true
}

// see is told what was read. It reports whether net/http may have it.
func (s *headScan) see(p []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isCut {
		return false
	}
	for s.on && len(p) > 0 {
		part, rest, whole := bytes.Cut(p, []byte("\n"))
		p = rest
		if !whole {
			s.keep(part)
			return true
		}
		if len(s.line) > 0 {
			s.keep(part)
			part = s.line
		}
		s.end(bytes.TrimSuffix(part, []byte("\r")))
		s.line = s.line[:0]
	}
	return true
}

func (s *headScan) keep(part []byte) {
	s.line = append(s.line, part[:min(len(part), maxHeadLine-len(s.line))]...)
}

// end takes a whole line.
func (s *headScan) end(line []byte) {
	switch {
	case s.first:
		s.first = false
		_, status, _ := bytes.Cut(line, []byte(" "))
		s.final = !bytes.HasPrefix(bytes.TrimLeft(status, " "), []byte("1")) || bytes.HasPrefix(bytes.TrimLeft(status, " "), []byte("101"))
	case len(line) == 0:
		s.first, s.on, s.last = true, !s.final, false
		if s.on {
			if s.informs {
				s.interim = append(s.interim, s.found)
			}
			s.found = nil
		}
	case line[0] == ' ' || line[0] == '\t': // goes on with the line before (RFC 9112, section 5.2)
		if s.last {
			whole := &s.found[len(s.found)-1]
			line = bytes.TrimSpace(line)
			if s.last = len(*whole)+1+len(line) <= maxHeadLine; s.last {
				*whole += " " + string(line)
			}
		}
	default:
		name, value, _ := bytes.Cut(line, []byte(":"))
		s.last = len(name) == len("Connection") && strings.EqualFold(string(name), "Connection") && len(s.found) < maxConnectionLines
		if s.last {
			s.found = append(s.found, string(bytes.TrimSpace(value)))
		}
	}
}

// restore gives an answer back the field that net/http has taken away.
func (s *headScan) restore(res *http.Response) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if res.Close && len(s.found) > 0 && res.Header["Connection"] == nil {
		res.Header["Connection"] = s.found
	}
}

// restoreInterim is restore for the 1xx answer that net/http tells of.
func (s *headScan) restoreInterim(header textproto.MIMEHeader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.interim) == 0 {
		return
	}
	if lines := s.interim[0]; len(lines) > 0 && header["Connection"] == nil {
		header["Connection"] = lines
	}
	s.interim = s.interim[1:]
}
