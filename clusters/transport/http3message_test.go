package transport

import (
	"io"
	"strings"
	"testing"
)

type closable struct {
	io.Reader
	closed bool
}

func (c *closable) Close() error { c.closed = true; return nil }

func TestABodyThatAnotherTryWillSendIsLeftAlone(t *testing.T) {
	body := &closable{Reader: strings.NewReader("call")}
	late := &upload{body: body}
	if late.stop() {
		t.Error("no reader has read")
	}
	if n, err := late.Read(make([]byte, 4)); n != 0 || err == nil {
		t.Errorf("read %d bytes, %v, after the request was over", n, err)
	}
	if late.Close(); body.closed {
		t.Error("the body of another try was closed")
	}

	early := &upload{body: body}
	if b, err := io.ReadAll(early); string(b) != "call" || err != nil {
		t.Errorf("read %q, %v", b, err)
	}
	if !early.stop() {
		t.Error("reading left no trace")
	}
	if early.Close(); !body.closed {
		t.Error("the body was not closed")
	}
}
