package logging

import (
	"bytes"
	"log"
	"strings"
	"testing"
)

func TestTheStandardLogIsLogged(t *testing.T) {
	var out bytes.Buffer // read after Close only
	l := New(&out, func(int) {})
	log.New(l.StandardWriter(), "", 0).Printf("unsolicited %q", "x")
	l.Close()
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `"complaint":"unsolicited \"x\""`) {
		t.Errorf("got %q", got)
	}
}
