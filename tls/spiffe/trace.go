package spiffe

// Trace is told what happens. Its functions may be nil, are called by several
// goroutines, and must not call Sources.Close, which waits for them.
type Trace struct {
	// Updated is called when a socket has delivered something new.
	Updated func(socket, id string)
	// Failed is called at each failure, also of trying again: go-spiffe does so
	// after one second, then two, and at last every 30 seconds. A delivery that
	// cannot be used, such as one out of date, is a failure.
	Failed func(socket string, err error)
}

func (t *Trace) updated(socket, id string) {
	if t != nil && t.Updated != nil {
		t.Updated(socket, id)
	}
}

func (t *Trace) failed(socket string, err error) {
	if t != nil && t.Failed != nil {
		t.Failed(socket, err)
	}
}
