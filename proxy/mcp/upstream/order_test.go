package upstream

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// What comes before and after an answer is heard in the order in which it was
// said, whether or not it belongs to the call.
func TestMessagesAroundAnAnswerAreHeardInOrder(t *testing.T) {
	c, e := cluster(t, ssePeer(t, func(m *jsonrpc.Message, say func(string), _ func()) int {
		note := func(method string) { say("data: " + string(jsonrpc.NewNotification(method, nil)) + "\n\n") }
		for i := range 5 {
			note(fmt.Sprint("before ", i))
		}
		say("data: " + string(jsonrpc.NewResult(m.ID(), nil)) + "\n\n")
		for i := range 5 {
			note(fmt.Sprint("after ", i))
		}
		return http.StatusAccepted
	}))
	var mu sync.Mutex
	var got []string
	hear := func(m *jsonrpc.Message) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, m.Method())
	}
	s := mustOpen(t, c, e, func(o *settings) { o.OnMessage = hear })
	var want []string
	for range 100 {
		for _, when := range []string{"before", "after"} {
			for i := range 5 {
				want = append(want, fmt.Sprint(when, " ", i))
			}
		}
		id := s.NextID()
		if _, err := s.Call(t.Context(), jsonrpc.NewRequest(id, "x", nil), id, hear); err != nil {
			t.Fatal(err)
		}
		testkit.Eventually(t, "all has been heard", func() bool { mu.Lock(); defer mu.Unlock(); return len(got) >= len(want) })
	}
	if !slices.Equal(got, want) {
		t.Errorf("heard %q", got)
	}
}
