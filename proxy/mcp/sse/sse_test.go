package sse

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func readAll(r io.Reader, max int64) (events []Event, err error) {
	reader := NewReader(r, max)
	for {
		e, err := reader.Next()
		if err != nil {
			return events, err
		}
		events = append(events, e)
	}
}

func TestReader(t *testing.T) {
	for _, test := range []struct {
		name, in string
		want     []Event
	}{
		{"data", "data: x\n\n", []Event{{Data: []byte("x")}}},
		{"no space", "data:x\n\n", []Event{{Data: []byte("x")}}},
		{"one space only", "data:  x\n\n", []Event{{Data: []byte(" x")}}},
		{"several lines", "data: a\ndata\ndata: b\n\n", []Event{{Data: []byte("a\n\nb")}}},
		{"name", "event: endpoint\ndata: /x\n\ndata: y\n\n", []Event{{Name: "endpoint", Data: []byte("/x")}, {Data: []byte("y")}}},
		{"CR", "data: a\rdata: b\r\rdata: c\r\r", []Event{{Data: []byte("a\nb")}, {Data: []byte("c")}}},
		{"CRLF", "data: a\r\ndata: b\r\n\r\n", []Event{{Data: []byte("a\nb")}}},
		{"mixed", "data: a\rdata: b\r\n\ndata: c\n\r\n", []Event{{Data: []byte("a\nb")}, {Data: []byte("c")}}},
		{"byte order mark", "\xef\xbb\xbfdata: x\n\n", []Event{{Data: []byte("x")}}},
		{"half a mark", "\xef\xbbdata: x\n\ndata: y\n\n", []Event{{Data: []byte("y")}}},
		{"a later mark", "\n\xef\xbb\xbfdata: x\n\n", nil},
		{"comments", ": hello\n\n:\n\ndata: x\n: in between\ndata: y\n\n", []Event{{Data: []byte("x\ny")}}},
		{"unknown fields", "foo: bar\ndata: x\nbaz\n\n", []Event{{Data: []byte("x")}}},
		{"name alone", "event: x\n\ndata: y\n\n", []Event{{Data: []byte("y")}}},
		{"ids stay", "id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n", []Event{
			{ID: "1", HasID: true, Data: []byte("a")}, {ID: "1", Data: []byte("b")}, {HasID: true, Data: []byte("c")},
		}},
		{"an id with NUL", "id: a\x00b\ndata: x\n\n", []Event{{Data: []byte("x")}}},
		{"priming", "id: p\nretry: 250\ndata:\n\n", []Event{{ID: "p", HasID: true, Retry: 250 * time.Millisecond, HasRetry: true}}},
		{"retry", "retry: 1\n\nretry: -1\n\nretry: 1s\n\nretry:\n\nretry: 99999999999999999999\n\n", []Event{
			{Retry: time.Millisecond, HasRetry: true}, {Retry: 24 * time.Hour, HasRetry: true},
		}},
		{"unfinished", "data: x\n\ndata: y\n", []Event{{Data: []byte("x")}}},
	} {
		for way, r := range map[string]io.Reader{
			"whole":      strings.NewReader(test.in),
			"bytewise":   iotest.OneByteReader(strings.NewReader(test.in)),
			"with error": iotest.DataErrReader(strings.NewReader(test.in)),
		} {
			got, err := readAll(r, 1000)
			for i := range got {
				if len(got[i].Data) == 0 {
					got[i].Data = nil
				}
			}
			if err != io.EOF || !reflect.DeepEqual(got, test.want) {
				t.Errorf("%s, %s: %+v, %v; want %+v", test.name, way, got, err, test.want)
			}
		}
	}
}

// A server may write the CR of CRLF CRLF, and the LF much later.
func TestEventDoesNotWaitForTheLastLF(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	got := make(chan Event)
	go func() {
		e, _ := NewReader(r, 100).Next()
		got <- e
	}()
	if _, err := io.WriteString(w, "data: x\r\n\r"); err != nil {
		t.Fatal(err)
	}
	if e := <-got; string(e.Data) != "x" {
		t.Errorf("got %+v", e)
	}
}

func TestReaderBoundsEvents(t *testing.T) {
	long := strings.Repeat("x", 50)
	for name, in := range map[string]string{
		"a line":     "data: " + long + long + "\n\n",
		"no line":    "data: " + strings.Repeat(long, 200),
		"many lines": strings.Repeat("data: "+long[:10]+"\n", 10) + "\n",
		"a comment":  ":" + long + long + "\n\n",
	} {
		if _, err := readAll(strings.NewReader(in), 100); !errors.Is(err, ErrTooLong) {
			t.Errorf("%s: %v, want ErrTooLong", name, err)
		}
	}
	in := strings.Repeat(":"+long+"\n", 100) + strings.Repeat("data: "+long+"\n\n", 100)
	if events, err := readAll(strings.NewReader(in), 100); len(events) != 100 || err != io.EOF {
		t.Errorf("%d events, %v: the bound is one of an event, not of a stream", len(events), err)
	}
}

func TestWriter(t *testing.T) {
	var out bytes.Buffer
	flushed := 0
	w := NewWriter(&out, func() error { flushed++; return nil })
	for _, e := range []Event{
		{Data: []byte(`{"a":1}`)},
		{Name: "message", ID: "7", HasID: true, Data: []byte("a\nb\r\nc\rd")},
		{ID: "p", HasID: true, Retry: 1500 * time.Millisecond, HasRetry: true},
		{Name: "x\ndata: forged", ID: "y\r\nevent: forged", HasID: true},
	} {
		if err := w.Event(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Comment(); err != nil {
		t.Fatal(err)
	}
	want := "data: {\"a\":1}\n\n" +
		"event: message\nid: 7\ndata: a\ndata: b\ndata: c\ndata: d\n\n" +
		"id: p\nretry: 1500\ndata: \n\n" +
		"event: x\nid: y\ndata: \n\n" +
		": \n\n"
	if out.String() != want || flushed != 5 {
		t.Errorf("wrote %q, flushed %d times; want %q", &out, flushed, want)
	}
}

func TestWriterReportsErrors(t *testing.T) {
	broken := errors.New("broken")
	if err := NewWriter(io.Discard, func() error { return broken }).Comment(); err != broken {
		t.Errorf("a failed flush: %v", err)
	}
	r, pipe := io.Pipe()
	r.CloseWithError(broken)
	if err := NewWriter(pipe, nil).Event(Event{}); err != broken {
		t.Errorf("a failed write: %v", err)
	}
}
