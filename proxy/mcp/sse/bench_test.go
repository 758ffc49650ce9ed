package sse

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

func BenchmarkReader(b *testing.B) {
	for name, data := range map[string]string{"short": `{"jsonrpc":"2.0","id":1,"result":{}}`, "long": strings.Repeat("x", 20<<10), "lines": strings.Repeat("x\n", 20)} {
		b.Run(name, func(b *testing.B) {
			stream := bytes.Repeat(appendEvent(nil, Event{Name: "message", ID: "a-1", HasID: true, Data: []byte(data)}), 16)
			b.ReportAllocs()
			b.SetBytes(int64(len(stream)))
			for b.Loop() {
				r := NewReader(bytes.NewReader(stream), 1<<20)
				for {
					if _, err := r.Next(); err == io.EOF {
						break
					} else if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func BenchmarkWriter(b *testing.B) {
	w := NewWriter(io.Discard, nil)
	e := Event{Name: "message", ID: "a-1", HasID: true, Data: []byte(`{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"ok"}]}}`)}
	b.ReportAllocs()
	for b.Loop() {
		if err := w.Event(e); err != nil {
			b.Fatal(err)
		}
	}
}
