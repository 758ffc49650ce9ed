package routes

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/listeners"
)

// events is a server of server-sent events; what it is to send comes on parts.
func events(parts <-chan string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		c := http.NewResponseController(w)
		c.Flush()
		for {
			select {
			case p, ok := <-parts:
				if !ok {
					return
				}
				io.WriteString(w, p)
				c.Flush()
			case <-r.Context().Done():
				return
			}
		}
	}
}

func TestEventsPassAtOnceAndAreCountedAsAStream(t *testing.T) {
	parts := make(chan string)
	g := proxied(t, events(parts), "timeout: 50ms")
	for proto, client := range map[string]*http.Client{"HTTP/1.1": g.client, "HTTP/2": h2c(t)} {
		resp, err := client.Get(g.url("/"))
		if err != nil {
			t.Fatalf("%s: %v", proto, err)
		}
		for i := range 3 {
			parts <- fmt.Sprintf("data: %d\n\n", i)
			expect(t, resp.Body, fmt.Sprintf("data: %d\n\n", i))
		}
		if n := g.server.Stats().Streams; n != 1 {
			t.Errorf("%s: %d streams are counted", proto, n)
		}
		resp.Body.Close()
		testkit.Eventually(t, "the stream ends", func() bool { return g.server.Stats().Streams == 0 })
	}
}

func TestADrainingConnectionEndsEventsAfterAWholeOne(t *testing.T) {
	for _, c := range []struct{ before, after, want string }{
		{"data: 1\n\n", "", "data: 1\n\n"},
		{": comment\n\ndata: 1\n", "data: 2\r\n\r\ndata: 3\n\n", ": comment\n\ndata: 1\ndata: 2\r\n\r\n"},
		{"data: 1", "\n\n", "data: 1\n\n"},
	} {
		for _, proto := range []string{"HTTP/1.1", "HTTP/2"} {
			parts := make(chan string, 2)
			g := proxied(t, events(parts))
			client := g.client
			if proto == "HTTP/2" {
				client = h2c(t)
			}
			resp, err := client.Get(g.url("/"))
			if err != nil {
				t.Fatal(err)
			}
			parts <- c.before
			expect(t, resp.Body, c.before)
			g.server.Drain(listeners.DrainOptions{})
			if c.after != "" {
				parts <- c.after
			}
			rest, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if got := c.before + string(rest); err != nil || got != c.want {
				// The second part may have come before the drain was noticed.
				if err != nil || got != c.before+c.after {
					t.Errorf("%s: %q ended as %q, %v; want %q", proto, c.before, got, err, c.want)
				}
			}
			if e := g.entry(); e.Flag != "local_reset" {
				t.Errorf("%s: flag %q, %s", proto, e.Flag, e.Reason)
			}
			<-g.server.Done()
		}
	}
}

func TestAnEventWithoutEndIsCutAndLooksCut(t *testing.T) {
	parts := make(chan string)
	g := proxied(t, events(parts))
	resp, err := g.client.Get(g.url("/"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	parts <- "data: half"
	expect(t, resp.Body, "data: half")
	g.server.Drain(listeners.DrainOptions{})
	if b, err := io.ReadAll(bufio.NewReader(resp.Body)); err == nil {
		t.Errorf("a clean end after %q", b)
	}
}

func TestAnUpstreamThatBreaksOffMidStreamIsNoCleanEnd(t *testing.T) {
	g := proxied(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: 1\n\n")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	resp, err := g.client.Get(g.url("/"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("a clean end after %q", b)
	}
}

func TestEndsOfEventsAreFoundInPiecesOfAnySize(t *testing.T) {
	const stream = "data: a\n\n" + ": c\r\n\r\n" + "data: b\r\r" + "data: c\ndata: d\r\n\n" + "\n" + "x"
	want := []int{9, 16, 25, 43, 44}
	for size := 1; size <= len(stream); size++ {
		var e eventEnds
		var got []int
		for at := 0; at < len(stream); {
			piece := stream[at:min(at+size, len(stream))]
			n := e.next([]byte(piece))
			if n < 0 {
				at += len(piece)
				continue
			}
			at += n
			got = append(got, at)
		}
		// Where a CR LF is torn apart both halves are an end.
		if got = slices.DeleteFunc(got, func(n int) bool { return stream[n-1] == '\r' && stream[n] == '\n' }); !slices.Equal(got, want) || e.whole() {
			t.Errorf("pieces of %d: ends at %v, want %v", size, got, want)
		}
	}
}

func FuzzEventEnds(f *testing.F) {
	f.Add([]byte("data: a\n\n: c\r\n\r\ndata: b\r\r"), uint8(2))
	f.Fuzz(func(t *testing.T, data []byte, size uint8) {
		whole := func(size int) bool {
			var e eventEnds
			for at := 0; at < len(data); at += size {
				e.skip(data[at:min(at+size, len(data))])
			}
			return e.whole()
		}
		if a, b := whole(int(size)+1), whole(len(data)+1); a != b {
			t.Fatalf("whole is %v in pieces, %v in one", a, b)
		}
	})
}
