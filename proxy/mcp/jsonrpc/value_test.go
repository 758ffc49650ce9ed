package jsonrpc

import (
	"slices"
	"testing"
)

func TestValueNavigation(t *testing.T) {
	v, err := ParseValue([]byte(` { "a" : [ 1 , "two" , {"x":[[],{}]} , -3.5e1 , true , false , null ] , "\u0062" : {"c":"\"\\\n\ud83d\ude00\ud800"} , "e":{} } `))
	if err != nil {
		t.Fatal(err)
	}
	var kinds []ValueKind
	for key, element := range v.Get("a").Each {
		if key != "" {
			t.Errorf("an element has the key %q", key)
		}
		kinds = append(kinds, element.Kind())
	}
	if want := []ValueKind{Number, String, Object, Number, Bool, Bool, Null}; !slices.Equal(kinds, want) {
		t.Errorf("kinds %v, want %v", kinds, want)
	}
	var keys []string
	for key := range v.Each {
		keys = append(keys, key)
	}
	if !slices.Equal(keys, []string{"a", "b", "e"}) {
		t.Errorf("keys %q", keys)
	}
	if got := v.Get("b", "c").String(); got != "\"\\\n😀\ufffd" {
		t.Errorf("String() = %q", got)
	}
	if v.Get("e").Len() != 0 || v.Get("a").Len() != 7 {
		t.Error("Len is wrong")
	}
	for _, none := range []Value{{}, v.Get("A"), v.Get("a", "x"), v.Get("b", "c", "d"), v.Get("e", "f")} {
		if none.Exists() || none.Kind() != None || none.Raw() != nil || none.String() != "" || none.Len() != 0 || none.Bool() || !none.ID().IsZero() {
			t.Errorf("%s exists", none.Raw())
		}
		if _, ok := none.Int(); ok {
			t.Error("nothing is a number")
		}
	}
}

func TestNumbersAndDuplicates(t *testing.T) {
	v, err := ParseValue([]byte(`{"a":12,"b":1.0,"c":9223372036854775808,"a":13,"d":"12"}`))
	if err != nil {
		t.Fatal(err)
	}
	if n, ok := v.Get("a").Int(); n != 13 || !ok {
		t.Errorf("the last of two: %d, %v", n, ok)
	}
	for _, key := range []string{"b", "c", "d"} {
		if n, ok := v.Get(key).Int(); ok {
			t.Errorf("%s is the integer %d", key, n)
		}
	}
	if key, found := v.DuplicateKey(); key != "a" || !found {
		t.Errorf("DuplicateKey() = %q, %v", key, found)
	}
}

func TestRawCannotGrowIntoTheDocument(t *testing.T) {
	doc := []byte(`[1,2]`)
	v, _ := ParseValue(doc)
	for _, element := range v.Each {
		_ = append(element.Raw(), 'x')
	}
	if string(doc) != `[1,2]` {
		t.Errorf("the document became %s", doc)
	}
}

func TestAnIDThatIsGivenBackAsAFloatIsAnInteger(t *testing.T) {
	for raw, want := range map[string]string{
		`5.0`: `5`, `5e0`: `5`, `-0.0`: `0`, `4503599627370496.0`: `4503599627370496`, `4.503599627370496e+15`: `4503599627370496`, `1.2E2`: `120`,
		`5.5`: `null`, `5e-1`: `null`, `1e21`: `null`, `1e99999999999`: `null`,
	} {
		v, err := ParseValue([]byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		if got := v.ID().Raw(); got != want {
			t.Errorf("%s is the id %s, want %s", raw, got, want)
		}
	}
}

func TestAmbiguityIsFoundAtAnyDepth(t *testing.T) {
	for doc, want := range map[string]string{
		`{"a":1,"A":2,"b":[{"a":"\ud83d\ude00"},{"a":"\\ud83d"}]}`: "",
		`[0,"\ud83d"]`:                        "half a surrogate pair in a string",
		`{"\udc00":0}`:                        "half a surrogate pair in a string",
		`{"a":{"\ud83d":0,"\ud83e":0}}`:       "half a surrogate pair in a string",
		`[[],{"b":{"a":{},"\u0061":[1]}}]`:    `the member "a" twice`,
		`{"a":[{"b":0,"c":1,"b":2}],"a":"x"}`: `the member "b" twice`,
	} {
		v, err := ParseValue([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		if why := v.Ambiguity(); why != want {
			t.Errorf("%s: %q; want %q", doc, why, want)
		}
	}
}
