package jsonrpc

import (
	"bytes"
	"encoding/json"
	"math"
	"math/big"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

var seeds = []string{
	`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"a":[1,2.5e-3,"\ud83d\ude00"]},"_meta":{"progressToken":"t"}}}`,
	`{"jsonrpc":"2.0","id":"\u0041","result":{"tools":[{"name":"a"}],"_meta":{}}}`,
	`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x","data":null}}`,
	`{"jsonrpc":"2.0","method":"notifications/x","params":null}`,
	`{"jsonrpc":"2.0","method":"x","Method":"y"}`,
	`{"jsonrpc":"2.0","method":"x","params":{"a":1,"A":2}}`,
	`{"jsonrpc":"2.0","id":-0,"method":"x"}`,
	`[{"jsonrpc":"2.0","method":"x"}]`,
	" {\"a\" : tru}", "\xff", `{"":{"":[]}}`,
	"{\"jsonrpc\":\"2.0\",\"method\":\"a\xffb\"}",
	"{\"jsonrpc\":\"2.0\",\"method\":\"x\",\"params\":{\"k\xc3\":\"\xed\xa0\x80\"}}",
	"{\"jsonrpc\":\"2.0\",\"method\":\"\uFFFD\"}",
	`{"jsonrpc":"2.0","method":"\ufffd","params":{"\ud83d\ude00":"\\ud83d"}}`,
}

// FuzzParse compares Parse with a reading by encoding/json's tokens, which
// shares no code with it.
func FuzzParse(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(bytes.Clone(b))
		if !utf8.Valid(b) && err == nil {
			t.Fatalf("Parse(%q) takes what is no UTF-8", b)
		}
		if halfPair(b) {
			return // encoding/json does not tell half a surrogate pair from U+FFFD
		}
		if err != nil && strings.Contains(err.Error(), "id is longer") {
			return // a bound on raw bytes, which tokens do not show
		}
		want, reason := readByTokens(b)
		if (err == nil) != (reason == "") {
			t.Fatalf("Parse(%q): %v; by tokens: %s", b, err, reason)
		}
		if err != nil {
			return
		}
		got := reading{m.Kind(), m.ID().Raw(), m.Method(), tree(t, m.Params()), tree(t, m.Result()), tree(t, m.Error())}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("Parse(%q)\n     is %+v,\ntokens %+v", b, got, want)
		}
	})
}

// halfPair reports whether an escape is half a surrogate pair, which no Unicode
// text has (RFC 8259 section 7).
func halfPair(b []byte) bool {
	escape := func(b []byte) (rune, bool) {
		if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
			return 0, false
		}
		n, err := strconv.ParseUint(string(b[2:6]), 16, 16)
		return rune(n), err == nil
	}
	for len(b) > 1 {
		r, ok := escape(b)
		switch {
		case ok && utf16.IsSurrogate(r):
			low, _ := escape(b[6:])
			if utf16.DecodeRune(r, low) == utf8.RuneError {
				return true
			}
			b = b[12:]
		case b[0] == '\\':
			b = b[2:]
		default:
			b = b[1:]
		}
	}
	return false
}

// FuzzEdits sets and deletes members everywhere: the result is valid JSON and
// says what was asked for.
func FuzzEdits(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s), "name", uint8(3))
	}
	f.Fuzz(func(t *testing.T, b []byte, key string, choice uint8) {
		doc, err := ParseValue(bytes.Clone(b))
		if err != nil || !utf8.ValidString(key) {
			return
		}
		var e Edits
		n := uint8(0)
		var visit func(Value)
		visit = func(v Value) {
			if n++; n%4 == choice%4 {
				switch choice % 3 {
				case 0:
					e.SetString(v, key, "new")
				case 1:
					e.Delete(v, key)
				case 2:
					e.Replace(v, []byte("1"))
				}
			}
			for _, member := range v.Each {
				visit(member)
			}
		}
		visit(doc)
		out := e.ApplyTo(doc)
		edited, err := ParseValue(out)
		if err != nil {
			t.Fatalf("%q became %q: %v", b, out, err)
		}
		if choice%3 == 0 && choice%4 == 1 && doc.Kind() == Object && edited.Get(key).String() != "new" {
			t.Fatalf("%q became %q, without the member %q", b, out, key)
		}
		if len(e.list) == 0 && !bytes.Equal(out, doc.Raw()) {
			t.Fatalf("%q became %q without an edit", b, out)
		}
	})
}

type reading struct {
	kind                  Kind
	id, method            string
	params, result, error any
}

// object keeps the order of members, and duplicates.
type object struct {
	keys   []string
	values []any
}

func (o *object) get(key string) any {
	if o == nil {
		return nil
	}
	for i, k := range o.keys {
		if k == key {
			return o.values[i]
		}
	}
	return nil
}

func (o *object) strict(fold bool) bool {
	for i, a := range o.keys {
		for _, b := range o.keys[:i] {
			if a == b || fold && strings.EqualFold(a, b) {
				return false
			}
		}
	}
	return true
}

type null struct{}

func readByTokens(b []byte) (reading, string) {
	if !utf8.Valid(b) || !json.Valid(b) {
		return reading{}, "no JSON"
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	v, ok := readValue(d, 0)
	top, isObject := v.(*object)
	if !ok || !isObject {
		return reading{}, "too deep, or no object"
	}
	if !top.strict(true) {
		return reading{}, "duplicate"
	}
	for _, key := range top.keys {
		for _, name := range []string{"jsonrpc", "id", "method", "params", "result", "error"} {
			if key != name && strings.EqualFold(key, name) {
				return reading{}, "case"
			}
		}
	}
	for _, name := range []string{"params", "result", "error"} {
		o, isObject := top.get(name).(*object)
		if !isObject {
			continue
		}
		if !o.strict(name == "params") {
			return reading{}, "duplicate in " + name
		}
		if meta, isObject := o.get("_meta").(*object); isObject && name != "error" && !meta.strict(false) {
			return reading{}, "duplicate in _meta"
		}
	}
	if top.get("jsonrpc") != any("2.0") {
		return reading{}, "version"
	}
	r := reading{id: "null", params: top.get("params"), result: top.get("result"), error: top.get("error")}
	id := top.get("id")
	hasID := false
	switch id := id.(type) {
	case string:
		hasID, r.id = true, string(AppendString(nil, id))
	case json.Number:
		if strings.ContainsAny(id.String(), ".eE") {
			return reading{}, "id"
		}
		hasID, r.id = true, id.String()
		if r.id == "-0" {
			r.id = "0"
		}
	case nil:
	default:
		if _, isNull := id.(null); !isNull || top.get("error") == nil || top.get("method") != nil {
			return reading{}, "id"
		}
	}
	if method := top.get("method"); method != nil {
		name, isString := method.(string)
		if !isString || name == "" || r.result != nil || r.error != nil {
			return reading{}, "method"
		}
		switch r.params.(type) {
		case nil, null, *object:
		default:
			return reading{}, "params"
		}
		r.method, r.kind = name, Notification
		if hasID {
			r.kind = Request
		}
		return r, ""
	}
	r.kind = Response
	if r.params != nil || (r.result == nil) == (r.error == nil) || r.result != nil && !hasID {
		return reading{}, "response"
	}
	if r.error != nil {
		o, isObject := r.error.(*object)
		if !isObject {
			return reading{}, "error"
		}
		code, _ := o.get("code").(json.Number)
		_, hasMessage := o.get("message").(string)
		if !isWhole(code.String()) || !hasMessage {
			return reading{}, "error"
		}
	}
	return r, ""
}

// isWhole reports whether a number, however it is written, is an integer of 64 bits.
// An exponent of more than nine digits is not reckoned with.
func isWhole(number string) bool {
	if i := strings.IndexAny(number, "eE"); i >= 0 && len(number)-i-1 > 1+exponentDigits {
		return false
	}
	// Without this bound, the fraction of 5e-999999999 would take gigabytes.
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || f != 0 && math.Abs(f) < 1 || f == 0 && strings.ContainsAny(strings.SplitN(strings.ToLower(number), "e", 2)[0], "123456789") {
		return false
	}
	r, ok := new(big.Rat).SetString(number)
	return ok && r.IsInt() && r.Num().IsInt64()
}

func readValue(d *json.Decoder, depth int) (any, bool) {
	token, err := d.Token()
	if err != nil || depth > maxDepth {
		return nil, false
	}
	delim, isDelim := token.(json.Delim)
	if token == nil {
		return null{}, true
	}
	if !isDelim {
		return token, true
	}
	if depth++; depth > maxDepth {
		return nil, false
	}
	if delim == '[' {
		list := []any{}
		for d.More() {
			v, ok := readValue(d, depth)
			if !ok {
				return nil, false
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err == nil
	}
	o := new(object)
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, false
		}
		v, ok := readValue(d, depth)
		if !ok {
			return nil, false
		}
		o.keys, o.values = append(o.keys, key.(string)), append(o.values, v)
	}
	_, err = d.Token()
	return o, err == nil
}

// tree is a value as the walk over tokens has it.
func tree(t *testing.T, v Value) any {
	switch v.Kind() {
	case Null:
		return null{}
	case Bool:
		return v.Bool()
	case Number:
		return json.Number(v.Raw())
	case String:
		return v.String()
	case Array:
		list := []any{}
		for _, element := range v.Each {
			list = append(list, tree(t, element))
		}
		return list
	case Object:
		o := new(object)
		for key, member := range v.Each {
			if !v.Get(key).Exists() {
				t.Fatalf("Get does not find %q, which Each has", key)
			}
			o.keys, o.values = append(o.keys, key), append(o.values, tree(t, member))
		}
		return o
	}
	return nil
}
