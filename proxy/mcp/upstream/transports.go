package upstream

import "sync"

// Transports remembers which transport endpoints were found to speak, so that
// only the first session with each probes. The zero Transports are empty.
// They may be used by several goroutines and must not be copied.
type Transports struct {
	mu    sync.Mutex
	known map[string]Kind
}
