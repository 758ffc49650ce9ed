package mcp

import "testing"

func TestSlowReaderIsEndedNotBuffered(t *testing.T) {
	for name, st := range map[string]*stream{
		"messages": newStream(true, true, 1<<30),
		"bytes":    newStream(true, true, 100),
	} {
		sent := 0
		for sent <= queueLimit && st.send([]byte("0123456789")) {
			sent++
		}
		if sent > queueLimit || name == "bytes" && sent != 10 {
			t.Errorf("%s: %d messages wait", name, sent)
		}
		select {
		case <-st.stop:
		default:
			t.Errorf("%s: the stream goes on", name)
		}
		if st.send(nil) {
			t.Errorf("%s: an ended stream takes messages", name)
		}
	}
}

func TestAnswerComesLastAndOnce(t *testing.T) {
	st := newStream(true, true, 100)
	st.send([]byte("a"))
	st.finish(200, []byte("b"))
	st.finish(500, []byte("c"))
	if st.send([]byte("d")) {
		t.Error("a message after the answer")
	}
	queue, status, answer := st.take()
	if len(queue) != 1 || status != 200 || string(answer) != "b" {
		t.Errorf("%q %d %q", queue, status, answer)
	}
}
