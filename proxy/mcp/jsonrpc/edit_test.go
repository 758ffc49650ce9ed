package jsonrpc

import "testing"

func TestEdits(t *testing.T) {
	const doc = `{ "jsonrpc":"2.0", "id":1 ,"method":"tools/call","params":{"name":"x" , "n":1.50,"a":{"b":[1, {"c":"d"}]}, "z":null} }`
	for _, test := range []struct {
		name string
		edit func(*Edits, *Message)
		want string
	}{
		{"nothing", func(*Edits, *Message) {}, doc},
		{"replace", func(e *Edits, m *Message) {
			e.ReplaceString(m.Params().Get("name"), "y\"")
			e.SetID(m, StringID("k"))
			e.SetString(m.Envelope(), "method", "ping")
		}, `{ "jsonrpc":"2.0", "id":"k" ,"method":"ping","params":{"name":"y\"" , "n":1.50,"a":{"b":[1, {"c":"d"}]}, "z":null} }`},
		{"deep", func(e *Edits, m *Message) {
			for _, v := range m.Params().Get("a", "b").Each {
				e.SetString(v, "c", "e")
				e.Set(v, "new", []byte("1"))
				e.Set(v, "two", []byte("2"))
			}
		}, `{ "jsonrpc":"2.0", "id":1 ,"method":"tools/call","params":{"name":"x" , "n":1.50,"a":{"b":[1, {"c":"e","new":1,"two":2}]}, "z":null} }`},
		{"delete first", func(e *Edits, m *Message) {
			e.Delete(m.Params(), "name")
			e.Delete(m.Params(), "n")
		}, `{ "jsonrpc":"2.0", "id":1 ,"method":"tools/call","params":{"a":{"b":[1, {"c":"d"}]}, "z":null} }`},
		{"delete in the middle", func(e *Edits, m *Message) {
			e.Delete(m.Params(), "a")
			e.Delete(m.Params(), "n")
			e.Delete(m.Params(), "absent")
		}, `{ "jsonrpc":"2.0", "id":1 ,"method":"tools/call","params":{"name":"x", "z":null} }`},
		{"delete last and insert", func(e *Edits, m *Message) {
			e.Delete(m.Params(), "z")
			e.Set(m.Params(), "q", []byte("[]"))
		}, `{ "jsonrpc":"2.0", "id":1 ,"method":"tools/call","params":{"name":"x" , "n":1.50,"a":{"b":[1, {"c":"d"}]},"q":[]} }`},
		{"delete all and insert", func(e *Edits, m *Message) {
			for key := range m.Params().Each {
				e.Delete(m.Params(), key)
			}
			e.Set(m.Params(), "q", []byte("0"))
		}, `{ "jsonrpc":"2.0", "id":1 ,"method":"tools/call","params":{"q":0} }`},
		{"null becomes an object", func(e *Edits, m *Message) {
			e.Set(m.Params().Get("z"), "p", []byte("1"))
			e.Set(m.Params().Get("z"), "q", []byte("2"))
			e.Set(m.Params().Get("z"), "p", []byte("3"))
		}, `{ "jsonrpc":"2.0", "id":1 ,"method":"tools/call","params":{"name":"x" , "n":1.50,"a":{"b":[1, {"c":"d"}]}, "z":{"p":3,"q":2}} }`},
		{"the outer wins", func(e *Edits, m *Message) {
			e.Replace(m.Params().Get("a"), []byte("0"))
			e.Delete(m.Params().Get("a"), "b")
			e.Replace(m.Params().Get("a", "b"), []byte("1"))
		}, `{ "jsonrpc":"2.0", "id":1 ,"method":"tools/call","params":{"name":"x" , "n":1.50,"a":0, "z":null} }`},
		{"the later wins", func(e *Edits, m *Message) {
			e.Replace(m.Params(), []byte("0"))
			e.Set(m.Params(), "x", []byte("0"))
			e.Replace(m.Params(), []byte("{}"))
			e.Set(m.Envelope(), "id", []byte("5"))
			e.Delete(m.Envelope(), "id")
			e.Set(m.Envelope(), "id", []byte("6"))
		}, `{ "jsonrpc":"2.0", "id":6 ,"method":"tools/call","params":{} }`},
		{"what is not there", func(e *Edits, m *Message) {
			e.Replace(Value{}, []byte("0"))
			e.Set(Value{}, "x", []byte("0"))
			e.Set(m.Params().Get("name"), "x", []byte("0"))
			e.Delete(m.Result(), "x")
			other, _ := ParseValue([]byte(doc))
			e.Replace(other.Get("id"), []byte("0"))
		}, doc},
		{"meta", func(e *Edits, m *Message) {
			e.SetMeta(m, "progressToken", []byte("7"))
			e.SetMeta(m, "x", []byte("8"))
			e.SetMeta(m, "x", []byte("9"))
		}, `{ "jsonrpc":"2.0", "id":1 ,"method":"tools/call","params":{"name":"x" , "n":1.50,"a":{"b":[1, {"c":"d"}]}, "z":null,"_meta":{"progressToken":7,"x":9}} }`},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := mustParse(t, doc)
			var e Edits
			test.edit(&e, m)
			got := string(e.Apply(m))
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if _, err := Parse([]byte(got)); err != nil && test.name != "the later wins" {
				t.Error(err)
			}
			if string(m.Raw()) != doc {
				t.Error("the message itself was changed")
			}
		})
	}
}

func TestSetMetaMakesWhatIsMissing(t *testing.T) {
	for in, want := range map[string]string{
		`{"jsonrpc":"2.0","method":"x"}`:                             `{"jsonrpc":"2.0","method":"x","params":{"_meta":{"a":1,"b":2}}}`,
		`{"jsonrpc":"2.0","method":"x","params":{}}`:                 `{"jsonrpc":"2.0","method":"x","params":{"_meta":{"a":1,"b":2}}}`,
		`{"jsonrpc":"2.0","method":"x","params":null}`:               `{"jsonrpc":"2.0","method":"x","params":{"_meta":{"a":1,"b":2}}}`,
		`{"jsonrpc":"2.0","method":"x","params":{"_meta":null}}`:     `{"jsonrpc":"2.0","method":"x","params":{"_meta":{"a":1,"b":2}}}`,
		`{"jsonrpc":"2.0","method":"x","params":{"_meta":{"a":0}}}`:  `{"jsonrpc":"2.0","method":"x","params":{"_meta":{"a":1,"b":2}}}`,
		`{"jsonrpc":"2.0","method":"x","params":{"_meta":"?"}}`:      `{"jsonrpc":"2.0","method":"x","params":{"_meta":"?"}}`,
		`{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}`:             `{"jsonrpc":"2.0","id":1,"result":{"tools":[],"_meta":{"a":1,"b":2}}}`,
		`{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"no"}}`: `{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"no"}}`,
	} {
		m := mustParse(t, in)
		var e Edits
		e.SetMeta(m, "a", []byte("1"))
		e.SetMeta(m, "b", []byte("2"))
		if got := string(e.Apply(m)); got != want {
			t.Errorf("%s became\n%s, want\n%s", in, got, want)
		}
	}
}

func TestApplyToAPart(t *testing.T) {
	m := mustParse(t, `{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"},{"name":"b"}]}}`)
	var e Edits
	e.SetID(m, IntID(9))
	var parts []string
	for _, tool := range m.Result().Get("tools").Each {
		e.ReplaceString(tool.Get("name"), "p__"+tool.Get("name").String())
		parts = append(parts, string(e.ApplyTo(tool)))
	}
	if parts[0] != `{"name":"p__a"}` || parts[1] != `{"name":"p__b"}` {
		t.Errorf("parts %q", parts)
	}
	if got, want := string(e.Apply(m)), `{"jsonrpc":"2.0","id":9,"result":{"tools":[{"name":"p__a"},{"name":"p__b"}]}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestEditsOfDuplicatesLeaveNoOldValue(t *testing.T) {
	m := mustParse(t, `{"jsonrpc":"2.0","id":1,"result":{"t":{"name":"a","name":"b","x":1,"x":2}}}`)
	var e Edits
	e.SetString(m.Result().Get("t"), "name", "c")
	e.Delete(m.Result().Get("t"), "x")
	if got, want := string(e.Apply(m)), `{"jsonrpc":"2.0","id":1,"result":{"t":{"name":"c","name":"c"}}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
