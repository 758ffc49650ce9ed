package mcp

import (
	"encoding/json"
	"errors"
	"time"
)

// cursorAge is how long a cursor opens. A client walks a list in seconds; one
// that comes back after this starts anew.
const cursorAge = time.Hour

var errCursor = errors.New("invalid cursor")

// position is where a list continues.
type position struct {
	// Cluster is the one to continue with.
	Cluster string `json:"c"`
	// Page is the upstream's own cursor of the page to continue in; nil is
	// its first page. The empty string is a cursor like any other.
	Page *string `json:"p,omitempty"`
	// Skip is the number of items of that page that were delivered already.
	Skip int `json:"n,omitempty"`
	// Public: the first page of the list could be shared between users.
	Public bool `json:"s,omitempty"`
}

// cursor is the text that a client holds for a position.
func (s *sealer) cursor(in scope, p position, now time.Time) string {
	plain, err := json.Marshal(p)
	if err != nil { // strings and integers always marshal
		panic(err)
	}
	return s.seal(in, plain, now.Add(cursorAge))
}

func (s *sealer) open(in scope, cursor string, now time.Time) (position, error) {
	plain, err := s.unseal(in, cursor, now)
	var p position
	if err != nil || json.Unmarshal(plain, &p) != nil || p.Skip < 0 {
		return position{}, errCursor
	}
	return p, nil
}
