package upstream

import (
	"fmt"
	"testing"
	"time"
)

// The reader of the one stream meets them before the call has taken its answer.
func TestMessagesRightBehindAnAnswerAreKept(t *testing.T) {
	c, e := cluster(t, command("stdio-odd"))
	s := mustOpen(t, c, e)
	const behind = 40
	lines := []string{`{"jsonrpc":"2.0","id":%id,"result":{}}`}
	for n := range behind {
		lines = append(lines, fmt.Sprintf(`{"jsonrpc":"2.0","method":"n%d"}`, n))
	}
	for round := range 20 {
		if _, err := s.lines(lines...); err != nil {
			t.Fatal(err)
		}
		for n := range behind {
			select {
			case m := <-s.messages:
				if m.Method() != fmt.Sprint("n", n) {
					t.Fatalf("round %d: %s came in the place of n%d", round, m.Raw(), n)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("round %d: n%d did not come", round, n)
			}
		}
	}
}
