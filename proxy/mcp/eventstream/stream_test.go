package eventstream

import "testing"

func TestSlowReaderIsEndedNotBuffered(t *testing.T) {
	st := New(Options{Open: true, Eager: true, Bytes: 10 * (10 + MessageCost)})
	sent := 0
	for sent <= 10 && st.Send([]byte("0123456789")) {
		sent++
	}
	if sent != 10 {
		t.Errorf("%d messages wait", sent)
	}
	select {
	case <-st.reader.stop:
	default:
		t.Error("the stream goes on")
	}
	if st.Send(nil) {
		t.Error("an ended stream takes messages")
	}
}

func TestAnswerComesLastAndOnce(t *testing.T) {
	st := New(Options{Open: true, Eager: true, Bytes: 100})
	st.Send([]byte("a"))
	st.Finish(200, []byte("b"))
	st.Finish(500, []byte("c"))
	if st.Send([]byte("d")) {
		t.Error("a message after the answer")
	}
	queue, status, answer := st.Reader().takeAll()
	if len(queue) != 1 || status != 200 || string(answer) != "b" {
		t.Errorf("%q %d %q", queue, status, answer)
	}
}
