package eventstream

import "time"

// Sink is what a stream is written to that is a session's only one.
type Sink interface {
	// Message writes one message.
	Message(msg []byte) error
	// Alive shows the client that the stream is alive.
	Alive() error
}

// Signals are what ends or keeps alive a stream that Pump writes. A nil channel
// never fires.
type Signals struct {
	// Ending is closed when the connection must end.
	Ending <-chan struct{}
	// Over is closed when the client has gone.
	Over <-chan struct{}
	// Expired fires when the client's credentials have expired.
	Expired <-chan time.Time
	// Tick fires when the client is to be shown that the stream is alive.
	Tick <-chan time.Time
}

// Pump writes what the stream is given, without event ids, until it ends, and
// says why it did. The stream takes nothing afterwards.
func Pump(st *Stream, to Sink, s Signals) End {
	defer st.End()
	r := st.Reader()
	for {
		select {
		case <-r.ready:
		case <-s.Tick:
			if to.Alive() != nil {
				return Gone
			}
		case <-r.stop:
			return Ended
		case <-s.Ending:
			return Drained
		case <-s.Expired:
			return Expired
		case <-s.Over:
			return Gone
		}
		queue, _, answer := r.takeAll()
		for _, msg := range queue {
			if to.Message(msg) != nil {
				return Gone
			}
		}
		if answer != nil {
			_ = to.Message(answer) // the client is gone, or has it
			return Answered
		}
	}
}
