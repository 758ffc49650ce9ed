package jsonrpc

import (
	"errors"
	"strings"
	"testing"
)

func mustParse(t testing.TB, s string) *Message {
	t.Helper()
	m, err := Parse([]byte(s))
	if err != nil {
		t.Fatalf("Parse(%s): %v", s, err)
	}
	return m
}

func TestParseTellsKindsApart(t *testing.T) {
	for s, want := range map[string]Kind{
		`{"jsonrpc":"2.0","id":1,"method":"ping"}`:                                         Request,
		`{"jsonrpc":"2.0","id":"","method":"ping"}`:                                        Request,
		` {"method":"tools/list","params":{},"jsonrpc":"2.0","id":-7} `:                    Request,
		`{"jsonrpc":"2.0","id":1,"method":"x","params":null}`:                              Request,
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`:                           Notification,
		`{"jsonrpc":"2.0","id":"a","result":{}}`:                                           Response,
		`{"jsonrpc":"2.0","id":1,"result":null}`:                                           Response,
		`{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":""}}`:                    Response,
		`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse"}}`:            Response,
		`{"jsonrpc":"2.0","error":{"code":-32700,"message":"parse"}}`:                      Response,
		`{"\u006asonrpc":"2\u002e0","\u0069d":1,"method":"\u0070ing"}`:                     Request,
		`{"jsonrpc":"2.0","id":1,"method":"x","extra":{"id":1,"id":2}}`:                    Request,
		`{"jsonrpc":"2.0","id":1,"method":"x","params":{"arguments":{"a":1,"a":2,"A":3}}}`: Request,
	} {
		if m, err := Parse([]byte(s)); err != nil {
			t.Errorf("Parse(%s): %v", s, err)
		} else if m.Kind() != want {
			t.Errorf("Parse(%s) is a %v, want a %v", s, m.Kind(), want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	deep := func(n int) string {
		return `{"jsonrpc":"2.0","method":"x","params":{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}}`
	}
	mustParse(t, deep(maxDepth-2))
	for _, test := range []struct {
		in   string
		code int
		want string
	}{
		{"", CodeParseError, "unexpected end"},
		{"\ufeff{}", CodeParseError, "expected a value"},
		{`{"jsonrpc":"2.0","method":"x"`, CodeParseError, "unexpected end"},
		{`{"jsonrpc":"2.0","method":"x",}`, CodeParseError, "expected a key"},
		{`{"jsonrpc":"2.0","method":"x"} {}`, CodeParseError, "more than one value"},
		{`{"jsonrpc":"2.0" "method":"x"}`, CodeParseError, "expected , or } in an object"},
		{`{"jsonrpc":"2.0","method":"x","a":[1 2]}`, CodeParseError, "expected , or ] in an array"},
		{`{"jsonrpc":"2.0","method":"x","a":01}`, CodeParseError, "expected , or } in an object"},
		{`{"jsonrpc":"2.0","method":"x","a":1.}`, CodeParseError, "invalid number"},
		{`{"jsonrpc":"2.0","method":"x","a":NaN}`, CodeParseError, "expected a value"},
		{`{"jsonrpc":"2.0","method":"x","a":nul}`, CodeParseError, "expected a value"},
		{`{"jsonrpc":"2.0","method":"\x"}`, CodeParseError, "invalid escape"},
		{`{"jsonrpc":"2.0","method":"\u00g0"}`, CodeParseError, "invalid escape"},
		{"{\"jsonrpc\":\"2.0\",\"method\":\"a\nb\"}", CodeParseError, "control character"},
		{"{\"jsonrpc\":\"2.0\",\"method\":\"\xff\"}", CodeParseError, "invalid UTF-8"},
		{deep(maxDepth - 1), CodeParseError, "nested too deeply"},
		// What is no JSON is told as such, whatever the envelope looks like.
		{`{"id":1,"id":2,"params":[,]}`, CodeParseError, "expected a value"},

		{`"x"`, CodeInvalidRequest, "not an object"},
		{`{}`, CodeInvalidRequest, "jsonrpc"},
		{`{"jsonrpc":2.0,"method":"x"}`, CodeInvalidRequest, "jsonrpc"},
		{`{"jsonrpc":"2.0"}`, CodeInvalidRequest, "neither a request nor a response"},
		{`{"jsonrpc":"2.0","id":1}`, CodeInvalidRequest, "neither a request nor a response"},
		{`{"jsonrpc":"2.0","id":null,"method":"x"}`, CodeInvalidRequest, "id is neither"},
		{`{"jsonrpc":"2.0","id":1.0,"method":"x"}`, CodeInvalidRequest, "id is not an integer"},
		{`{"jsonrpc":"2.0","id":1e3,"method":"x"}`, CodeInvalidRequest, "id is not an integer"},
		{`{"jsonrpc":"2.0","id":[1],"method":"x"}`, CodeInvalidRequest, "id is neither"},
		{`{"jsonrpc":"2.0","id":"\ud800","method":"x"}`, CodeInvalidRequest, "id is not Unicode"},
		{`{"jsonrpc":"2.0","id":"` + strings.Repeat("x", maxID) + `","method":"x"}`, CodeInvalidRequest, "id is longer"},
		{`{"jsonrpc":"2.0","id":1,"method":7}`, CodeInvalidRequest, "method is not a string"},
		{`{"jsonrpc":"2.0","id":1,"method":""}`, CodeInvalidRequest, "method is not a string"},
		{`{"jsonrpc":"2.0","id":1,"method":"x","params":[1]}`, CodeInvalidRequest, "params is not an object"},
		{`{"jsonrpc":"2.0","id":1,"method":"x","result":{}}`, CodeInvalidRequest, "both a request and a response"},
		{`{"jsonrpc":"2.0","id":1,"params":{},"result":{}}`, CodeInvalidRequest, "both a request and a response"},
		{`{"jsonrpc":"2.0","id":null,"result":{}}`, CodeInvalidRequest, "id is neither"},
		{`{"jsonrpc":"2.0","result":{}}`, CodeInvalidRequest, "a result without id"},
		{`{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}`, CodeInvalidRequest, "neither a request nor a response"},
		{`{"jsonrpc":"2.0","id":1,"error":{"code":"1","message":""}}`, CodeInvalidRequest, "no integer code"},
		{`{"jsonrpc":"2.0","id":1,"error":{"code":1.5,"message":""}}`, CodeInvalidRequest, "no integer code"},
		{`{"jsonrpc":"2.0","id":1,"error":{"code":1}}`, CodeInvalidRequest, "no message"},
		{`{"jsonrpc":"2.0","id":1,"error":"no"}`, CodeInvalidRequest, "no integer code"},

		{`{"jsonrpc":"2.0","id":1,"method":"x","method":"y"}`, CodeInvalidRequest, `duplicate key "method"`},
		{`{"jsonrpc":"2.0","id":1,"method":"x","\u006dethod":"y"}`, CodeInvalidRequest, `duplicate key "method"`},
		{`{"jsonrpc":"2.0","id":1,"method":"x","z":1,"z":2}`, CodeInvalidRequest, `duplicate key "z"`},
		{`{"jsonrpc":"2.0","id":1,"method":"x","params":{"name":"a","name":"b"}}`, CodeInvalidRequest, `duplicate key "name"`},
		{`{"jsonrpc":"2.0","id":1,"method":"x","params":{"name":"a","Name":"b"}}`, CodeInvalidRequest, `duplicate key "Name"`},
		{`{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{"a":1,"a":2}}}`, CodeInvalidRequest, `duplicate key "a"`},
		{`{"jsonrpc":"2.0","id":1,"result":{"a":1,"a":2}}`, CodeInvalidRequest, `duplicate key "a"`},
		{`{"jsonrpc":"2.0","id":1,"result":{"_meta":{"a":1,"a":2}}}`, CodeInvalidRequest, `duplicate key "a"`},
		{`{"jsonrpc":"2.0","id":1,"error":{"code":1,"code":2,"message":""}}`, CodeInvalidRequest, `duplicate key "code"`},
		{`{"jsonrpc":"2.0","id":1,"Method":"x"}`, CodeInvalidRequest, `"Method" is not written method`},
		{`{"j` + "\u017f" + `onrpc":"2.0","method":"x"}`, CodeInvalidRequest, "is not written jsonrpc"},
	} {
		_, err := Parse([]byte(test.in))
		var parse *ParseError
		switch {
		case !errors.As(err, &parse):
			t.Errorf("Parse(%s) = %v, want a *ParseError", test.in, err)
		case parse.Code != test.code || !strings.Contains(parse.Reason, test.want):
			t.Errorf("Parse(%s) = %d %v, want %d %s", test.in, parse.Code, parse, test.code, test.want)
		}
	}
}

func TestManyDuplicateKeysAreFound(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"jsonrpc":"2.0","method":"x","params":{`)
	for i := range 1000 {
		b.WriteString(`"` + strings.Repeat("k", i+1) + `":0,`)
	}
	mustParse(t, b.String()+`"last":0}}`)
	if _, err := Parse([]byte(b.String() + `"kkk":0}}`)); err == nil {
		t.Error("a duplicate among a thousand keys was accepted")
	}
}

func TestBatchHasItsOwnError(t *testing.T) {
	_, err := Parse([]byte(` [{"jsonrpc":"2.0","method":"x"}]`))
	if !errors.Is(err, ErrBatch) {
		t.Errorf("Parse of a batch = %v, want ErrBatch", err)
	}
}

func TestParseBatch(t *testing.T) {
	batch, err := ParseBatch([]byte(` [ {"jsonrpc":"2.0","method":"x"} , {"jsonrpc":"2.0","id":1,"result":{}}] `))
	if err != nil || len(batch) != 2 || batch[0].Method() != "x" || batch[1].ID() != IntID(1) {
		t.Errorf("ParseBatch = %v, %v", batch, err)
	}
	for _, s := range []string{
		``, `[`, `[]`, `{}`, `[1]`, `[{"jsonrpc":"2.0","method":"x"},]`, `[{"jsonrpc":"2.0","method":"x"}`,
		`[{"jsonrpc":"2.0","method":"x"} {"jsonrpc":"2.0","method":"x"}]`, `[{"jsonrpc":"2.0","method":"x"}]]`,
		`[{"jsonrpc":"2.0","method":"x"},{"jsonrpc":"2.0"}]`,
		`[` + strings.Repeat(`{"jsonrpc":"2.0","method":"x"},`, maxBatch) + `{"jsonrpc":"2.0","method":"x"}]`,
	} {
		if batch, err := ParseBatch([]byte(s)); err == nil {
			t.Errorf("ParseBatch(%s) = %v, want an error", s, batch)
		}
	}
}

func TestIDs(t *testing.T) {
	id := func(raw string) ID {
		m := mustParse(t, `{"jsonrpc":"2.0","id":`+raw+`,"method":"x"}`)
		if string(m.RawID()) != raw {
			t.Errorf("RawID() = %s, want %s", m.RawID(), raw)
		}
		return m.ID()
	}
	if id(`1`) == id(`"1"`) {
		t.Error(`1 and "1" are one id`)
	}
	if id(`"A"`) != id(`"\u0041"`) || id(`"é/"`) != id(`"\u00e9\/"`) || id(`"😀"`) != id(`"\ud83d\ude00"`) {
		t.Error("one string with other escapes is another id")
	}
	if id(`1`) != IntID(1) || id(`"x"`) != StringID("x") || id("-0") != IntID(0) {
		t.Error("parsed and made ids differ")
	}
	if big := "123456789012345678901234567890"; id(big).Raw() != big {
		t.Error("a large integer was changed")
	}
	if (ID{}).Raw() != "null" || !(ID{}).IsZero() || IntID(0).IsZero() {
		t.Error("the zero ID is not none")
	}
}

func TestBuilt(t *testing.T) {
	m := mustParse(t, string(NewRequest(StringID("a\"\n\x01é"), "tools/call", []byte(`{"name":"x"}`))))
	if m.Kind() != Request || m.ID() != StringID("a\"\n\x01é") || m.Params().Get("name").String() != "x" {
		t.Errorf("request: %s", m.Raw())
	}
	m = mustParse(t, string(NewNotification("notifications/initialized", nil)))
	if m.Kind() != Notification || m.Params().Exists() || !m.ID().IsZero() {
		t.Errorf("notification: %s", m.Raw())
	}
	m = mustParse(t, string(NewResult(IntID(3), nil)))
	if m.Kind() != Response || m.Result().Kind() != Object || m.IsError() {
		t.Errorf("result: %s", m.Raw())
	}
	m = mustParse(t, string(NewError(ID{}, CodeInternalError, "so \\ sad", []byte(`[1]`))))
	if m.ErrorCode() != CodeInternalError || m.ErrorMessage() != "so \\ sad" || m.Error().Get("data").Len() != 1 || !m.ID().IsZero() {
		t.Errorf("error: %s", m.Raw())
	}
}
