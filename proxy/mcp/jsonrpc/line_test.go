package jsonrpc

import "testing"

func TestALineHasNoBreakButItsEnd(t *testing.T) {
	msg := []byte("{\"a\":\r\n1}\n")
	if got := string(Line(msg)); got != "{\"a\":  1} \n" {
		t.Errorf("%q", got)
	}
	if string(msg) != "{\"a\":\r\n1}\n" {
		t.Error("the message itself is changed")
	}
}
