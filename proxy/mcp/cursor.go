package mcp

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
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
	// Trail is how the walk came to the page.
	Trail trail `json:"t,omitzero"`
	// Public: the first page of the list could be shared between users.
	Public bool `json:"s,omitempty"`
}

// next is the position of the page that follows m, the one at p, in the list of
// the cluster; nil at the end. A server that repeats a cursor has no end, and
// gets one here: many clients would ask on and on.
func (p position) next(ref ClusterRef, m *jsonrpc.Message) *position {
	v := m.Result().Get("nextCursor")
	if v.Kind() != jsonrpc.String {
		return nil
	}
	own := v.String()
	trail, repeats := p.Trail.step(own)
	if repeats {
		return nil
	}
	return &position{Cluster: ref.Name, Page: &own, Trail: trail}
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
