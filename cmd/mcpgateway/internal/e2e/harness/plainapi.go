package harness

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/coder/websocket"
)

// PlainAPI is an HTTP upstream that streams in every way: /events an SSE
// stream that ends when the test says so, /ws a WebSocket that echoes,
// /upload a slow upload answered with its length, /slow a long POST. The zero
// value is ready.
type PlainAPI struct {
	mu    sync.Mutex
	gates map[string]chan struct{}
}

// gate returns a channel of that name, which the test will close.
func (p *PlainAPI) gate(name string) chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gates == nil {
		p.gates = map[string]chan struct{}{}
	}
	if p.gates[name] == nil {
		p.gates[name] = make(chan struct{})
	}
	return p.gates[name]
}

// first reports whether something happens for the first time, and has those
// who wait for gate(name) know.
func (p *PlainAPI) first(name string) bool {
	g := p.gate(name)
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-g:
		return false
	default:
		close(g)
		return true
	}
}

// Release lets all that has this name end.
func (p *PlainAPI) Release(name string) { close(p.gate(name)) }

// ServeHTTP answers by the path's last element.
func (p *PlainAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("name")
	switch {
	case strings.HasSuffix(r.URL.Path, "/events"):
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: first\n\n")
		w.(http.Flusher).Flush()
		select {
		case <-p.gate(name):
			fmt.Fprint(w, "data: last\n\n")
		case <-r.Context().Done():
		}
	case strings.HasSuffix(r.URL.Path, "/ws"):
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			kind, data, err := c.Read(r.Context())
			if err != nil {
				return
			}
			if c.Write(r.Context(), kind, data) != nil {
				return
			}
		}
	case strings.HasSuffix(r.URL.Path, "/upload"):
		p.first("upload " + name)
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			return
		}
		fmt.Fprintf(w, "%d bytes", n)
	case strings.HasSuffix(r.URL.Path, "/slow"):
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		p.first("slow " + name)
		select {
		case <-p.gate(name):
			fmt.Fprintf(w, "done with %s", body)
		case <-r.Context().Done():
		}
	case strings.HasSuffix(r.URL.Path, "/flaky"):
		// Answers 503 to each first try, so that a retry is needed.
		if p.first("flaky " + name) {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, "at last")
	default:
		fmt.Fprint(w, "ok")
	}
}
