package http1head

import (
	"bytes"
	"iter"
)

// Chunked is the Length of a body that comes in chunks.
const Chunked = -1

// Head is a request's head. Its slices are parts of what was parsed.
type Head struct {
	Method []byte
	Target []byte
	// Minor is the y of HTTP/1.y.
	Minor int
	// Length is how long the body is, in bytes, or Chunked; 0 without a body.
	Length int64

	fields []byte // the lines, each with its end
}

// Fields lists the header's fields as they came: names in the client's
// spelling, values without the white space around them.
func (h *Head) Fields() iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for rest := h.fields; len(rest) > 0; {
			var line []byte
			line, rest, _ = bytes.Cut(rest, crlf)
			name, value, _ := bytes.Cut(line, colon)
			if !yield(name, trim(value)) {
				return
			}
		}
	}
}

var (
	crlf  = []byte("\r\n")
	colon = []byte(":")
)

// Parser reads a head that comes in pieces. It looks at each byte once, and
// refuses a malformed line as soon as it has its end. The zero value is ready
// for a head.
type Parser struct {
	line     int // where the first line begins that has not been parsed
	searched int // up to where that line is known to have no end
	err      error

	method, target int // where they end
	fields         int // where the header begins; 0 before that
	minor          int
	host           bool
	coded          bool  // has a Transfer-Encoding
	sized          bool  // has a Content-Length
	length         int64 // what it says
}

// Parse reads the head that b begins with, and returns its length. After
// ErrIncomplete it must be called again with the same bytes and more after them;
// after anything else with nothing.
func (p *Parser) Parse(b []byte) (head Head, n int, err error) {
	for p.err == nil {
		end := bytes.IndexByte(b[p.searched:], '\n')
		if end < 0 {
			p.searched = len(b)
			return Head{}, 0, ErrIncomplete
		}
		end += p.searched
		begin := p.line
		p.line, p.searched = end+1, end+1
		if end == begin || b[end-1] != '\r' {
			p.err = errBareLF
			break
		}
		line := b[begin : end-1]
		switch {
		case p.fields == 0:
			p.err = p.requestLine(line)
			p.fields = p.line
		case len(line) > 0:
			p.err = p.field(line)
		default:
			if p.err = p.consistent(b); p.err == nil {
				return p.head(b, begin), p.line, nil
			}
		}
	}
	return Head{}, 0, p.err
}

func (p *Parser) head(b []byte, end int) Head {
	h := Head{
		Method: b[:p.method],
		Target: b[p.method+1 : p.target],
		Minor:  p.minor,
		Length: p.length,
		fields: b[p.fields:end],
	}
	if p.coded {
		h.Length = Chunked
	}
	return h
}

// requestLine is RFC 9112 section 3. It is the first line, so that offsets in it
// are offsets in the head.
func (p *Parser) requestLine(line []byte) error {
	p.method = token(line)
	if p.method == 0 || p.method == len(line) || line[p.method] != ' ' {
		return errRequestLine
	}
	target := bytes.IndexByte(line[p.method+1:], ' ')
	if target <= 0 {
		return errRequestLine
	}
	p.target = p.method + 1 + target
	if !printable(line[p.method+1:p.target], false) {
		return errControl
	}
	version := line[p.target+1:]
	if len(version) != len("HTTP/1.1") || string(version[:5]) != "HTTP/" || !digit(version[5]) || version[6] != '.' || !digit(version[7]) {
		return errRequestLine
	}
	if version[5] != '1' {
		return errVersion
	}
	p.minor = int(version[7] - '0')
	return nil
}

// field is RFC 9112 section 5.
func (p *Parser) field(line []byte) error {
	if line[0] == ' ' || line[0] == '\t' {
		return errFolded
	}
	end := token(line)
	if end == 0 || end == len(line) || line[end] != ':' {
		return errName
	}
	value := trim(line[end+1:])
	if !printable(value, true) {
		return errControl
	}
	switch end {
	case len("Host"):
		if bytes.EqualFold(line[:end], []byte("Host")) {
			if p.host {
				return errHosts
			}
			p.host = true
		}
	case len("Content-Length"):
		if bytes.EqualFold(line[:end], []byte("Content-Length")) {
			return p.contentLength(value)
		}
	case len("Transfer-Encoding"):
		if bytes.EqualFold(line[:end], []byte("Transfer-Encoding")) {
			return p.transferEncoding(value)
		}
	}
	return nil
}

// contentLength is RFC 9112 section 6.3, which allows to refuse a number that is
// sent twice even if it is the same.
func (p *Parser) contentLength(value []byte) error {
	if p.sized {
		return errLengths
	}
	p.sized = true
	if len(value) == 0 || len(value) > 18 { // 18 digits fit into 63 bits
		return errLength
	}
	for _, c := range value {
		if !digit(c) {
			return errLength
		}
		p.length = p.length*10 + int64(c-'0')
	}
	return nil
}

func (p *Parser) transferEncoding(value []byte) error {
	twice := p.coded // which means the list of both
	p.coded = true
	if p.minor == 0 {
		return errCodingTooOld // RFC 9112 section 6.1
	}
	if twice || !bytes.EqualFold(value, []byte("chunked")) {
		return errCoding
	}
	return nil
}

// consistent checks the head as a whole.
func (p *Parser) consistent(b []byte) error {
	switch {
	case p.coded && p.sized:
		return errAmbiguous
	case !p.host && p.minor > 0 && string(b[:p.method]) != "CONNECT":
		return errNoHost
	}
	return nil
}
