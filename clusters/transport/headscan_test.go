package transport

import (
	"strings"
	"testing"
)

func TestALineOfConnectionThatGoesOnIsKeptOnlyUpToItsBound(t *testing.T) {
	var s headScan
	s.begin(false)
	s.see([]byte("HTTP/1.1 200 OK\r\nConnection: close,\r\n X-A,\r\n"))
	s.see([]byte(strings.Repeat(" "+strings.Repeat("x", 1000)+",\r\n", 200)))
	s.see([]byte("\r\n"))
	got := s.found
	if len(got) != 1 || !strings.HasPrefix(got[0], "close, X-A, xxx") || len(got[0]) > maxHeadLine {
		t.Errorf("%d lines, the first of %d bytes", len(got), len(strings.Join(got, "")))
	}
}
