package listeners

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
)

// Clients that send the beginning of a long head each, and no end, take no more
// memory than there is.
func TestHeadsAreCharged(t *testing.T) {
	handler := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }
	f := newFixture(t, handler, plain, limits(func(l *Limits) { l.HeaderTimeout = time.Minute }))
	budget := memory.New(nil)
	budget.SetLimit(4 << 20)
	server := f.newServer(handler)
	server.ChargeTo(budget)
	f.socket.Serve(server)
	long := "GET / HTTP/1.1\r\nHost: localhost\r\n" + strings.Repeat("X: "+strings.Repeat("y", 100)+"\r\n", 500)
	ask := func(c net.Conn) int {
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return 0
		}
		_, _ = io.Copy(io.Discard, res.Body)
		return res.StatusCode
	}

	// One that ends is served, and costs nothing afterwards.
	c := f.dial("http/1.1")
	_, _ = io.WriteString(c, long+"\r\n")
	if status := ask(c); status != 200 {
		t.Fatal(status)
	}
	returned := func() bool { return budget.Stats().Charged[memory.Body] == 0 }
	testkit.Eventually(t, "the head's memory is returned", returned)

	// Where there is no room for the next one it is refused, before it ends.
	refused := make(chan struct{}, 40)
	var conns []net.Conn
	var asking sync.WaitGroup
	for range 40 {
		c := f.dial("http/1.1")
		conns = append(conns, c)
		_, _ = io.WriteString(c, long)
		asking.Go(func() {
			if ask(c) == 503 {
				refused <- struct{}{}
			}
		})
	}
	wait(t, refused, "refusal")
	if s := budget.Stats(); s.Charged[memory.Body] > s.Limit {
		t.Errorf("%d are charged of %d", s.Charged[memory.Body], s.Limit)
	}
	for _, c := range conns {
		c.Close()
	}
	asking.Wait()
	testkit.Eventually(t, "all memory is returned", returned)
}
