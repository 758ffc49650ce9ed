package jsonrpc

import (
	"runtime"
	"strings"
	"testing"
)

func digestOf(t *testing.T, text string) [32]byte {
	t.Helper()
	v, err := ParseValue([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v.Digest()
}

func TestValuesThatSayTheSameHaveOneDigest(t *testing.T) {
	for _, same := range [][]string{
		{`{"a":1,"b":[true,null]}`, ` { "b" : [ true , null ] , "a" : 1 } `, `{"\u0062":[true,null],"a":1}`},
		{`{"a":{"c":1,"d":{}},"b":[]}`, `{"b":[],"a":{"d":{},"c":1}}`},
		{`{"d":"\u00e4\/\n"}`, `{"d":"ä/\u000a"}`, `{"d":"\u00E4/\u000A"}`},
		{`1`, `1.0`, `1e0`, `1E+0`, `10e-1`, `0.1e1`, `1.00e00`},
		{`0`, `-0`, `0.0`, `0e99`, `-0.0e-7`},
		{`-1200`, `-1.2e3`, `-1200.0`, `-12e+2`},
		{`1e400`, `10e399`},
		{`"` + strings.Repeat(`ä`, 100) + `"`, `"` + strings.Repeat(`\u00e4`, 100) + `"`},
	} {
		for _, other := range same[1:] {
			if digestOf(t, same[0]) != digestOf(t, other) {
				t.Errorf("%s and %s say the same", same[0], other)
			}
		}
	}
}

func TestValuesThatSayOtherThingsHaveOtherDigests(t *testing.T) {
	texts := []string{
		`{}`, `[]`, `""`, `0`, `null`, `true`, `false`, `[[]]`, `[{}]`, `{"":{}}`, `{"":[]}`, `{"":""}`,
		`1`, `-1`, `10`, `0.1`, `"1"`, `[1]`, `{"1":1}`, `1e400`, `1e401`, `1e99999999999`, `1e99999999998`,
		`9007199254740993`, `9007199254740992`, `0.1000000000000000000000000000000000000000001`,
		`[1,2]`, `[2,1]`, `[12]`, `["1,2"]`, `[[1],2]`, `[[1,2]]`, `[[],[]]`, `[[[]]]`,
		`{"a":1,"a":2}`, `{"a":2,"a":1}`, `{"a":2}`, `{"a":1}`, `{"a":[1,2]}`,
		`{"a":1,"b":2}`, `{"a":2,"b":1}`, `{"a":{"b":2}}`, `{"a":{},"b":2}`, `{"A":1}`, `{"a:1,\"b\"":2}`,
		`"\ud800"`, `"\ud801"`, `"\ufffd"`, `{"\ud800":1}`, `{"\ud801":1}`, `{"\ufffd":1}`,
		`"` + strings.Repeat("a", 100) + `"`, `"` + strings.Repeat("a", 101) + `"`, `{"` + strings.Repeat("a", 100) + `":1}`, `{"` + strings.Repeat("a", 101) + `":1}`,
		`"#` + strings.Repeat("a", 32) + `"`,
	}
	seen := map[[32]byte]string{}
	for _, text := range texts {
		sum := digestOf(t, text)
		if other, dup := seen[sum]; dup {
			t.Errorf("%s and %s have one digest", text, other)
		}
		seen[sum] = text
	}
}

// A server chooses how long a definition is: no copy of it is made, nor of what
// it holds, however deep.
func TestADigestTakesLittleMemory(t *testing.T) {
	elements := `[` + strings.TrimSuffix(strings.Repeat(`true,`, 1<<18), ",") + `]`
	for name, text := range map[string]string{
		"long": `{"a":"` + strings.Repeat("x", 1<<20) + `"}`,
		"deep": strings.Repeat(`{"a":[`, 60) + elements + strings.Repeat(`]}`, 60),
	} {
		v, err := ParseValue([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		v.Digest()
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > uint64(len(text)/4) {
			t.Errorf("%s: the digest of %d bytes took %d bytes", name, len(text), took)
		}
	}
}
