package http1head

import (
	"errors"
	"strings"
	"testing"
)

// accepted are heads, each with its method, target and length.
var accepted = []struct {
	head, method, target string
	length               int64
}{
	{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/", 0},
	{"GET / HTTP/1.0\r\n\r\n", "GET", "/", 0},
	{"GET / HTTP/1.9\r\nhost:a\r\n\r\n", "GET", "/", 0},
	{"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS", "*", 0},
	{"CONNECT a:1 HTTP/1.1\r\n\r\n", "CONNECT", "a:1", 0},
	{"GET http://a/b?c=d HTTP/1.1\r\nHost:\r\n\r\n", "GET", "http://a/b?c=d", 0},
	{"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/\xc3\xa4", 0},
	{"M-SEARCH! / HTTP/1.1\r\nHost: a\r\n\r\n", "M-SEARCH!", "/", 0},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", "POST", "/", 5},
	{"POST / HTTP/1.1\r\nHost: a\r\ncontent-LENGTH:\t 005 \t\r\n\r\nhello", "POST", "/", 5},
	{"POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello", "POST", "/", 5},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", "POST", "/", Chunked},
	{"GET / HTTP/1.1\r\nHost: a\r\nX:\r\nY: \x80\xff\t,\r\n_: 1\r\n\r\n", "GET", "/", 0},
	{"GET / HTTP/1.1\r\nHost: a\r\nXontent-Length: 5\r\nTransfer-Encodinx: chunked\r\n\r\n", "GET", "/", 0},
}

// refused are heads, each with why.
var refused = []struct {
	head string
	err  error
}{
	// Lines.
	{"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", errRequestLine},
	{"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", errBareLF},
	{"GET / HTTP/1.1\nHost: a\n\n", errBareLF},
	{"GET / HTTP/1.1\r\nHost: a\n\r\n", errBareLF},
	{"GET / HTTP/1.1\r\nHost: a\r\n\n", errBareLF},
	{"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", errControl},
	{"GET / HTTP/1.1\r\nHost: a\r\nX: a\rContent-Length: 5\r\n\r\n", errControl},
	{"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00\r\n\r\n", errControl},
	{"GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", errControl},
	{"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", errFolded},
	{"GET / HTTP/1.1\r\n Host: a\r\n\r\n", errFolded},
	{"GET / HTTP/1.1\r\nHost: a\r\n\t\r\n\r\n", errFolded},
	// The request line.
	{"GET /\r\n\r\n", errRequestLine},
	{"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", errRequestLine},
	{"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", errRequestLine},
	{" GET / HTTP/1.1\r\nHost: a\r\n\r\n", errRequestLine},
	{"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", errRequestLine},
	{"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", errRequestLine},
	{"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", errRequestLine},
	{"GET HTTP/1.1\r\nHost: a\r\n\r\n", errRequestLine},
	{"GET / http/1.1\r\nHost: a\r\n\r\n", errRequestLine},
	{"GET / HTTP/1.10\r\nHost: a\r\n\r\n", errRequestLine},
	{"GET / HTTP/01.1\r\nHost: a\r\n\r\n", errRequestLine},
	{"GET / HTTP/1,1\r\nHost: a\r\n\r\n", errRequestLine},
	{"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", errRequestLine},
	{"GET /\ta HTTP/1.1\r\nHost: a\r\n\r\n", errControl},
	{"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", errControl},
	{"GET / HTTP/0.9\r\nHost: a\r\n\r\n", errVersion},
	{"PRI * HTTP/2.0\r\n\r\n", errVersion},
	// Names.
	{"GET / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\n", errName},
	{"GET / HTTP/1.1\r\nHost: a\r\nX\tY: 5\r\n\r\n", errName},
	{"GET / HTTP/1.1\r\nHost: a\r\n: 5\r\n\r\n", errName},
	{"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", errName},
	{"GET / HTTP/1.1\r\nHost: a\r\n\x0bTransfer-Encoding: chunked\r\n\r\n", errName},
	{"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\x00: chunked\r\n\r\n", errName},
	// Host.
	{"GET / HTTP/1.1\r\n\r\n", errNoHost},
	{"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", errHosts},
	{"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", errHosts},
	// The length.
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", errLength},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", errLength},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n", errLength},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n", errLength},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5 5\r\n\r\n", errLength},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", errLength},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551621\r\n\r\n", errLength},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", errLengths},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", errLengths},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", errAmbiguous},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nX: y\r\ncontent-length: 0\r\n\r\n", errAmbiguous},
	{"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", errCodingTooOld},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", errCoding},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", errCoding},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", errCoding},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", errCoding},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n", errCoding},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", errCoding},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;\r\n\r\n", errCoding},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n", errControl},
}

// bodies are in chunks, each with what follows it after a |.
var bodies = []string{
	"0\r\n\r\n|",
	"0\r\n\r\n|GET / HTTP/1.1\r\n",
	"5\r\nhello\r\n0\r\n\r\n|x",
	"5;a=b\r\nhello\r\n00\r\n\r\n|",
	"05 \r\nhello\r\na;\"x\t\"\r\n0123456789\r\n0\r\n\r\n|",
	"0\r\nX: y\r\nZ: \r\n\r\n|\r\n",
}

// brokenBodies have a | before the byte that is wrong.
var brokenBodies = []struct {
	body string
	err  error
}{
	{"|\r\n", errChunk},
	{"|;\r\n", errChunk},
	{"0|x5\r\nhello\r\n", errChunk},
	{"|-5\r\n", errChunk},
	{"| 5\r\n", errChunk},
	{"5 |5\r\n", errChunk},
	{"5|\nhello\r\n", errBareLF},
	{"5;a|\nhello\r\n", errBareLF},
	{"5;a\r|a\nhello\r\n", errControl},
	{"5;|\x00\r\n", errControl},
	{"000000000000005|5\r\n", errChunk},
	{"5\r\nhello|!", errChunkEnd},
	{"5\r\nhello|\n", errChunkEnd},
	{"5\r\nhello\r|0\r\n\r\n", errChunkEnd},
	{"0\r\n|\n", errBareLF},
	{"0\r\nX: y|\n\nGET / HTTP/1.1", errBareLF},
	{"0\r\nX: y\r|\r\n", errControl},
	{"0\r\n\r|\r\n", errControl},
	{"0\r\n| X: y\r\n", errFolded},
	{"0\r\n|:\r\n", errName},
	{"0\r\nX: |\x00\r\n", errControl},
}

func TestAcceptedHeads(t *testing.T) {
	for _, test := range accepted {
		head, n, err := parse([]byte(test.head))
		want := strings.Index(test.head, "\r\n\r\n") + 4
		if err != nil || n != want {
			t.Errorf("%q: got %d, %v, want %d", test.head, n, err, want)
			continue
		}
		if string(head.Method) != test.method || string(head.Target) != test.target || head.Length != test.length {
			t.Errorf("%q: got %q, %q, length %d", test.head, head.Method, head.Target, head.Length)
		}
	}
}

func TestRefusedHeads(t *testing.T) {
	for _, test := range refused {
		if _, n, err := parse([]byte(test.head)); !errors.Is(err, test.err) || n != 0 {
			t.Errorf("%q: got %d, %v, want %v", test.head, n, err, test.err)
		}
	}
}

// However a head is cut, its parser finds the same.
func TestHeadsInPieces(t *testing.T) {
	heads := make([]string, 0, len(accepted)+len(refused))
	for _, test := range accepted {
		heads = append(heads, test.head)
	}
	for _, test := range refused {
		heads = append(heads, test.head)
	}
	for _, head := range heads {
		_, whole, wholeErr := parse([]byte(head))
		var p Parser
		n, err := 0, ErrIncomplete
		for end := 0; end <= len(head) && errors.Is(err, ErrIncomplete); end++ {
			_, n, err = p.Parse([]byte(head[:end]))
		}
		if n != whole || !errors.Is(err, wholeErr) {
			t.Errorf("%q: in pieces %d, %v; whole %d, %v", head, n, err, whole, wholeErr)
		}
	}
}

func TestIncompleteHeads(t *testing.T) {
	for _, test := range accepted {
		end := strings.Index(test.head, "\r\n\r\n") + 4
		for cut := range end {
			if _, _, err := parse([]byte(test.head[:cut])); !errors.Is(err, ErrIncomplete) {
				t.Fatalf("%q: got %v", test.head[:cut], err)
			}
		}
	}
}

func TestFieldsAreListed(t *testing.T) {
	head, _, err := parse([]byte("GET / HTTP/1.1\r\nHost: a:1\r\nX:\r\nx: \ty z\t\r\n\r\nbody"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for name, value := range head.Fields() {
		got = append(got, string(name)+"="+string(value))
	}
	if s := strings.Join(got, "|"); s != "Host=a:1|X=|x=y z" {
		t.Errorf("got %s", s)
	}
}

func TestBodies(t *testing.T) {
	for _, test := range bodies {
		data, want := cut(test)
		for size := 1; size <= len(data); size++ {
			head := Head{Length: Chunked}
			body, got := head.Body(), 0
			for rest := []byte(data); len(rest) > 0 && !body.Done(); {
				n, err := body.Follow(rest[:min(size, len(rest))])
				if err != nil {
					t.Fatalf("%q, %d at a time: %v", test, size, err)
				}
				got += n
				rest = rest[n:]
			}
			if got != want || !body.Done() {
				t.Errorf("%q, %d at a time: got %d, done %v", test, size, got, body.Done())
			}
		}
	}
}

func TestBrokenBodies(t *testing.T) {
	for _, test := range brokenBodies {
		data, want := cut(test.body)
		head := Head{Length: Chunked}
		body := head.Body()
		if n, err := body.Follow([]byte(data)); n != want || !errors.Is(err, test.err) || body.Done() {
			t.Errorf("%q: got %d, %v, want %d, %v", test.body, n, err, want, test.err)
		}
	}
	for text, want := range map[string]error{
		"5;" + strings.Repeat("x", maxChunkLine):         errChunkLine,
		strings.Repeat("0", maxChunkLine+1):              errChunk,
		"0\r\n" + strings.Repeat("X: y\r\n", maxTrailer): errTrailer,
	} {
		head := Head{Length: Chunked}
		body := head.Body()
		if _, err := body.Follow([]byte(text)); !errors.Is(err, want) {
			t.Errorf("%.9q and so on: got %v, want %v", text, err, want)
		}
	}
}

// cut removes the | and returns where it was.
func cut(s string) (string, int) {
	before, after, _ := strings.Cut(s, "|")
	return before + after, len(before)
}

func TestParsingAllocatesNothing(t *testing.T) {
	b := []byte(accepted[0].head)
	if n := testing.AllocsPerRun(100, func() { _, _, _ = parse(b) }); n != 0 {
		t.Errorf("got %v allocations", n)
	}
}

func parse(b []byte) (Head, int, error) { return new(Parser).Parse(b) }
