package seal

import (
	"encoding/json"
	"errors"
	"time"
)

// stateAge is how long a client may take to gather what a server asked for. A call
// that waits for it is given up earlier.
const stateAge = time.Hour

// ErrState is why a state does not open.
var ErrState = errors.New("invalid requestState; make the request anew, without it")

// State is what a client that was asked for input brings back with its next try: who
// asked, and that server's own state (MCP 2026-07-28, Multi Round-Trip Requests).
type State struct {
	Cluster string `json:"c"`
	// Inner is the server's; nil when it gave none.
	Inner *string `json:"s,omitempty"`
	// Held is the id of the suspended call that waits for the input.
	Held string `json:"h,omitempty"`
	// Anew reports whether the server is called again, since it never learns that it
	// was answered.
	Anew bool `json:"a,omitempty"`
}

// State returns the text that a client holds for a state. The Method of its scope says
// what the request is about, too.
func (s *Sealer) State(in Scope, state State, now time.Time) string {
	return s.seal(in.ofState(), encode(state), now.Add(stateAge))
}

// OpenState returns the state that State was given. Every error is ErrState.
func (s *Sealer) OpenState(in Scope, text string, now time.Time) (State, error) {
	plain, ok := s.open(in.ofState(), text, now)
	var state State
	if !ok || json.Unmarshal(plain, &state) != nil {
		return State{}, ErrState
	}
	return state, nil
}

// ofState keeps the states of a request apart from the cursors of one.
func (s Scope) ofState() Scope {
	s.Method = "state " + s.Method
	return s
}
