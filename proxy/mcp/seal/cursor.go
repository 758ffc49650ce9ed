package seal

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"time"
)

// cursorAge is how long a cursor opens. A client walks a list in seconds; one
// that comes back after this starts anew.
const cursorAge = time.Hour

// ErrCursor is why a cursor does not open.
var ErrCursor = errors.New("invalid cursor")

// Position is where a list continues.
type Position struct {
	// Cluster is the one to continue with.
	Cluster string `json:"c"`
	// Page is the upstream's own cursor of the page to continue in; nil is
	// its first page. The empty string is a cursor like any other.
	Page *string `json:"p,omitempty"`
	// Skip is the number of items of that page that were delivered already.
	Skip int `json:"n,omitempty"`
	// Trail is how the walk came to the page.
	Trail trail `json:"t,omitzero"`
	// Public: the first page of the list could be shared between users.
	Public bool `json:"s,omitempty"`
}

// Next returns the position of the page that the cluster's cursor names, after the
// one at p. It returns nil where the server repeats a cursor: such a list has no
// end, and many clients would ask on and on.
func (p Position) Next(cursor string) *Position {
	trail, repeats := p.Trail.step(cursor)
	if repeats {
		return nil
	}
	return &Position{Cluster: p.Cluster, Page: &cursor, Trail: trail}
}

const (
	trailRecent = 16 // cursors
	trailSum    = 6  // bytes of the hash of each
)

// trail is what of the cursors of a walk is kept in the next one, to find out
// that a server repeats one: the last of them, which find a short circle at
// once, and an earlier one, taken anew whenever the walk is twice as long, which
// finds any circle in the end (R. P. Brent, 1980).
type trail struct {
	Recent []byte `json:"r,omitempty"`
	Anchor []byte `json:"a,omitempty"`
	Steps  int    `json:"k,omitempty"`
}

// step returns the trail with one more cursor, or that it has had it before.
func (t trail) step(cursor string) (next trail, repeats bool) {
	hash := sha256.Sum256([]byte(cursor))
	sum := hash[:trailSum]
	if bytes.Equal(sum, t.Anchor) {
		return t, true
	}
	for i := 0; i+trailSum <= len(t.Recent); i += trailSum {
		if bytes.Equal(t.Recent[i:i+trailSum], sum) {
			return t, true
		}
	}
	next = trail{Recent: t.Recent, Anchor: t.Anchor, Steps: t.Steps + 1}
	if len(next.Recent) >= trailRecent*trailSum {
		next.Recent = next.Recent[trailSum:]
	}
	next.Recent = slices.Concat(next.Recent, sum)
	if next.Steps&(next.Steps-1) == 0 {
		next.Anchor = sum
	}
	return next, false
}

// Cursor returns the text that a client holds for a position.
func (s *Sealer) Cursor(in Scope, p Position, now time.Time) string {
	return s.seal(in, encode(p), now.Add(cursorAge))
}

// OpenCursor returns the position that Cursor was given. Every error is ErrCursor.
func (s *Sealer) OpenCursor(in Scope, cursor string, now time.Time) (Position, error) {
	plain, ok := s.open(in, cursor, now)
	var p Position
	if !ok || json.Unmarshal(plain, &p) != nil || p.Skip < 0 {
		return Position{}, ErrCursor
	}
	return p, nil
}
