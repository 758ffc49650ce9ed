package sse

import (
	"bytes"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

// FuzzReader compares the Reader with a slow reading by the letter of the
// standard, and checks that what it read can be written and read again.
func FuzzReader(f *testing.F) {
	for _, s := range []string{
		"data: x\n\n", "\xef\xbb\xbfid: 1\r\nretry: 5\rdata\r\n\r\n", ": c\nevent:e\ndata:\ndata: y\n\nid\n\n", "data: x\r\r\ndata: y\n\n\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := readAll(iotest.HalfReader(bytes.NewReader(b)), 1<<20)
		if err != io.EOF {
			t.Fatal(err)
		}
		want := interpret(string(b))
		if len(got) != len(want) {
			t.Fatalf("%q: %d events, want %d", b, len(got), len(want))
		}
		var again []byte
		for i := range got {
			if !same(got[i], want[i]) {
				t.Fatalf("%q: event %d is %+v, want %+v", b, i, got[i], want[i])
			}
			again = appendEvent(again, got[i])
		}
		reread, _ := readAll(bytes.NewReader(again), 1<<21)
		if len(reread) != len(got) {
			t.Fatalf("%q written as %q: %d events, want %d", b, again, len(reread), len(got))
		}
		for i := range reread {
			if !same(reread[i], got[i]) {
				t.Fatalf("%q written as %q: event %d is %+v, want %+v", b, again, i, reread[i], got[i])
			}
		}
	})
}

func same(a, b Event) bool {
	data := bytes.Equal(a.Data, b.Data)
	a.Data, b.Data = nil, nil
	return data && reflect.DeepEqual(a, b)
}

// interpret follows WHATWG HTML section 9.2.6, but for events without data.
func interpret(s string) (events []Event) {
	s = strings.TrimPrefix(s, "\xef\xbb\xbf")
	s = strings.ReplaceAll(s, "\r\n", "\n")
	s = strings.ReplaceAll(s, "\r", "\n")
	lines := strings.Split(s, "\n")
	var e Event
	var data []string
	var lastID string
	for _, line := range lines[:len(lines)-1] {
		if line == "" {
			if data != nil || e.HasID || e.HasRetry {
				e.ID, e.Data = lastID, []byte(strings.Join(data, "\n"))
				events = append(events, e)
			}
			e, data = Event{}, nil
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "event":
			e.Name = value
		case "data":
			data = append(data, value)
		case "id":
			if !strings.Contains(value, "\x00") {
				lastID, e.HasID = value, true
			}
		case "retry":
			if d, ok := retry(value); ok {
				e.Retry, e.HasRetry = d, true
			}
		}
	}
	return events
}
