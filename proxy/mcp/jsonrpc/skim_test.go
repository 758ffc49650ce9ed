package jsonrpc

import (
	"strings"
	"testing"
)

func TestSkimmerFindsWhatAMessageIs(t *testing.T) {
	long := strings.Repeat(`{"id":99,"method":"x","a":["\\",{"b":"\"id\":98,"}],"c":"`+strings.Repeat("y", 100)+`"},`, 50) + `0`
	for text, want := range map[string]struct {
		id             ID
		call, response bool
		message        bool
	}{
		`{"jsonrpc":"2.0","id":7,"result":{"a":[` + long + `]}}`:                         {IntID(7), false, true, true},
		`{"result":{"a":[` + long + `],"id":8},"jsonrpc":"2.0","id" : "7\u0061" } `:      {StringID("7a"), false, true, true},
		`{"error":{"code":1,"message":"` + strings.Repeat(`\"id\":1`, 99) + `"},"id":7}`: {IntID(7), false, true, false},
		`{"method":"a","params":[` + long + `],"jsonrpc":"2.0","id":7}`:                  {IntID(7), true, false, true},
		`{"jsonrpc":"2.0","method":"a","params":{"result":[` + long + `]}}`:              {ID{}, true, false, true},
		`{"id":null,"error":[` + long + `]}`:                                             {ID{}, false, true, false},
		`{"id":{"id":7},"result":[` + long + `]}`:                                        {ID{}, false, true, false},
		`[{"jsonrpc":"2.0","id":7,"result":[` + long + `]}]`:                             {ID{}, false, false, true},
		`INFO "id":7, [` + long + `]`:                                                    {ID{}, false, false, false},
	} {
		for _, size := range []int{1, 2, 7, len(text)} {
			var s Skimmer
			for rest := text; rest != ""; {
				n := min(size, len(rest))
				_, _ = s.Write([]byte(rest[:n]))
				rest = rest[n:]
			}
			if s.ID() != want.id || s.IsCall() != want.call || s.IsResponse() != want.response || s.IsMessage() != want.message {
				t.Errorf("%.60q by %d: id %s, call %v, response %v, message %v", text, size, s.ID(), s.IsCall(), s.IsResponse(), s.IsMessage())
			}
		}
	}
}
