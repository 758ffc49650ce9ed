package mcp

import "testing"

func TestSlowReaderIsEndedNotBuffered(t *testing.T) {
	st := newStream(true, true, 10*(10+messageCost))
	sent := 0
	for sent <= 10 && st.send([]byte("0123456789")) {
		sent++
	}
	if sent != 10 {
		t.Errorf("%d messages wait", sent)
	}
	select {
	case <-st.stop:
	default:
		t.Error("the stream goes on")
	}
	if st.send(nil) {
		t.Error("an ended stream takes messages")
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
