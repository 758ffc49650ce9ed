package jsonrpc

import (
	"strings"
	"testing"
)

// benchmarked are messages as they pass through the gateway.
var benchmarked = map[string]string{
	"call":   `{"jsonrpc":"2.0","id":17,"method":"tools/call","params":{"name":"gh__search","arguments":{"query":"is:open label:bug","limit":25,"flags":[true,false,null]},"_meta":{"progressToken":"t-1"}}}`,
	"result": `{"jsonrpc":"2.0","id":17,"result":{"content":[{"type":"text","text":"` + strings.Repeat(`line of \"text\"\n`, 60) + `"}],"isError":false}}`,
	"list":   `{"jsonrpc":"2.0","id":17,"result":{"tools":[` + strings.TrimSuffix(strings.Repeat(`{"name":"t","description":"does what it is told","inputSchema":{"type":"object","properties":{"a":{"type":"string"},"b":{"type":["number","null"]}},"required":["a"]}},`, 50), ",") + `]}}`,
}

func eachBenchmarked(b *testing.B, f func(b *testing.B, doc []byte)) {
	for _, name := range []string{"call", "result", "list"} {
		b.Run(name, func(b *testing.B) {
			doc := []byte(benchmarked[name])
			b.ReportAllocs()
			b.SetBytes(int64(len(doc)))
			for b.Loop() {
				f(b, doc)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	eachBenchmarked(b, func(b *testing.B, doc []byte) {
		if _, err := Parse(doc); err != nil {
			b.Fatal(err)
		}
	})
}

// What a call costs beside its reading: a name is found, it and the id are replaced.
func BenchmarkEdits(b *testing.B) {
	eachBenchmarked(b, func(b *testing.B, doc []byte) {
		m, err := Parse(doc)
		if err != nil {
			b.Fatal(err)
		}
		var e Edits
		e.SetID(m, IntID(4711))
		if name := m.Params().Get("name"); name.Exists() {
			e.ReplaceString(name, "search")
			e.SetMeta(m, "progressToken", []byte("5"))
		}
		for i, tool := range m.Result().Get("tools").Each {
			e.ReplaceString(tool.Get("name"), "gh__"+i)
		}
		if len(e.Apply(m)) == 0 {
			b.Fatal("nothing")
		}
	})
}

func BenchmarkDigest(b *testing.B) {
	eachBenchmarked(b, func(b *testing.B, doc []byte) {
		v, err := ParseValue(doc)
		if err != nil {
			b.Fatal(err)
		}
		v.Digest()
	})
}
