package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// attack is one way to make the gateway keep memory.
type attack struct {
	name string
	// run goes on until ctx ends.
	run func(ctx context.Context, g *gateway, t *counts)
}

// counts are the outcomes of an attack's requests.
type counts struct{ taken, refused atomic.Int64 }

// attacks are all of them. Each begins anew after a while, so that the gateway
// gives back what it keeps, and takes it again.
var attacks = []attack{
	{"bodies-h2-one-connection", waves(1, 100, h2, unfinished)},
	{"bodies-h2", waves(8, 100, h2, unfinished)},
	{"bodies-h1", waves(400, 1, h1, unfinished)},
	{"bodies-h3", waves(8, 100, h3, unfinished)},
	{"answers-h2", waves(4, 100, h2, unread("/mcp", "large"))},
	{"events-h2", waves(4, 50, h2, unread("/mcp", "events"))},
	{"sse", waves(60, 1, h1, unreadSSE)},
	{"websocket", waves(60, 1, h1, unreadWebSocket)},
	{"command", waves(1, 24, h2, unread("/command", "large"))},
	{"replay", waves(4, 25, h2, broken)},
	{"initialize", waves(100, 100, h2, anonymous)},
	{"readers-h1", waves(300, 1, h1, slow)},
	{"readers-h2", waves(3, 100, h2, slow)},
	{"readers-h3", waves(3, 100, h3, slow)},
}

const (
	// wave is how long each wave of an attack lasts.
	wave = 30 * time.Second
	// swell is the time over which its requests begin. On a machine that is fully
	// busy they would not reach the gateway, whose memory is to be measured.
	swell = 15 * time.Second
)

// request is one client of an attack. It stays until ctx ends.
type request func(ctx context.Context, g *gateway, hc *http.Client) (taken bool)

// waves makes an attack of many requests over some connections.
func waves(conns, each int, client func(*gateway) (*http.Client, func()), r request) func(context.Context, *gateway, *counts) {
	return func(ctx context.Context, g *gateway, t *counts) {
		for ctx.Err() == nil {
			ctx, cancel := context.WithTimeout(ctx, wave)
			var all sync.WaitGroup
			for c := range conns {
				hc, end := client(g)
				for i := range each {
					all.Go(func() {
						select {
						case <-time.After(swell / time.Duration(conns*each) * time.Duration(c*each+i)):
						case <-ctx.Done():
							return
						}
						if r(ctx, g, hc) {
							t.taken.Add(1)
						} else {
							t.refused.Add(1)
						}
					})
				}
				context.AfterFunc(ctx, end)
			}
			<-ctx.Done()
			all.Wait()
			cancel()
		}
	}
}

// endless is a body whose end never comes.
type endless struct {
	left int
	end  context.Context
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		<-e.end.Done()
		return 0, io.ErrUnexpectedEOF
	}
	n := min(len(p), e.left)
	for i := range p[:n] {
		p[i] = ' '
	}
	e.left -= n
	return n, nil
}

// unfinished sends 3.9 MB of a body, and never its end.
func unfinished(ctx context.Context, g *gateway, hc *http.Client) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+g.address+"/mcp", &endless{large, ctx})
	if err != nil {
		return false
	}
	req.ContentLength = large + 100
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	res, err := hc.Do(req)
	if err != nil {
		return ctx.Err() != nil
	}
	res.Body.Close()
	<-ctx.Done()
	return false
}

const initialize = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"pressure","version":"1"}}}`

func toolCall(tool string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"` + spec.ToolsCall + `","params":{"name":"` + tool + `","arguments":{}}}`
}

// begin begins a session.
func (g *gateway) begin(ctx context.Context, hc *http.Client, path string) (session string, err error) {
	res, err := g.post(ctx, hc, path, "", initialize)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	if session = res.Header.Get("Mcp-Session-Id"); session == "" {
		err = errors.New("refused")
	}
	return session, err
}

// refusal is the text of an answer that refuses a request for want of memory.
const refusal = "overload_manager"

// unread calls a tool in a session of its own, and does not read the answer.
func unread(path, tool string) request {
	return func(ctx context.Context, g *gateway, hc *http.Client) bool {
		session, err := g.begin(ctx, hc, path)
		if err != nil {
			return false
		}
		res, err := g.post(ctx, hc, path, session, toolCall(tool))
		if err != nil {
			return false
		}
		defer res.Body.Close()
		beginning := make([]byte, 512)
		n, _ := io.ReadFull(res.Body, beginning)
		<-ctx.Done()
		return res.StatusCode == http.StatusOK && !strings.Contains(string(beginning[:n]), refusal)
	}
}

// anonymous begins a session and leaves it.
func anonymous(ctx context.Context, g *gateway, hc *http.Client) bool {
	_, err := g.begin(ctx, hc, "/mcp")
	return err == nil
}

// slow downloads a file and calls a tool. Both answers have 10 MB, of which it
// reads 32 KiB a second.
func slow(ctx context.Context, g *gateway, hc *http.Client) bool {
	session, err := g.begin(ctx, hc, "/mcp")
	if err != nil {
		return false
	}
	answer, err := g.post(ctx, hc, "/mcp", session, toolCall("huge"))
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+g.address+"/file", nil)
	if err != nil {
		return false
	}
	file, err := hc.Do(req)
	if err != nil {
		return false
	}
	defer file.Body.Close()
	taken := file.StatusCode == http.StatusOK && answer.StatusCode == http.StatusOK
	for part := make([]byte, 32<<10); ; {
		select {
		case <-ctx.Done():
			return taken
		case <-time.After(time.Second):
		}
		for _, body := range []io.Reader{answer.Body, file.Body} {
			n, err := io.ReadFull(body, part)
			if err != nil && ctx.Err() == nil {
				return false
			}
			taken = taken && !strings.Contains(string(part[:n]), refusal)
		}
	}
}

// broken makes the gateway keep events: it reads the beginning of an answer, closes
// the connection, and asks for the rest over another one, which it does not read.
func broken(ctx context.Context, g *gateway, hc *http.Client) bool {
	session, err := g.begin(ctx, hc, "/mcp")
	if err != nil {
		return false
	}
	for ctx.Err() == nil {
		short, cancel := context.WithCancel(ctx)
		res, err := g.post(short, hc, "/mcp", session, toolCall("events"))
		if err != nil {
			cancel()
			return ctx.Err() != nil
		}
		beginning := make([]byte, 1024)
		_, _ = io.ReadFull(res.Body, beginning)
		cancel()
		res.Body.Close()
		id := ""
		for line := range strings.Lines(string(beginning)) {
			if value, ok := strings.CutPrefix(line, "id: "); ok {
				id = strings.TrimSpace(value)
				break
			}
		}
		if id == "" {
			return false // it was refused
		}
		again, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+g.address+"/mcp", nil)
		if err != nil {
			return false
		}
		again.Header.Set("Accept", "text/event-stream")
		again.Header.Set("Mcp-Session-Id", session)
		again.Header.Set("Last-Event-ID", id)
		if res, err := hc.Do(again); err == nil {
			context.AfterFunc(ctx, func() { res.Body.Close() })
		}
		select {
		case <-ctx.Done():
		case <-time.After(2 * time.Second):
		}
	}
	return true
}

// unreadSSE calls tools in a session of HTTP+SSE whose stream it does not read.
func unreadSSE(ctx context.Context, g *gateway, hc *http.Client) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+g.address+"/mcp/sse", nil)
	if err != nil {
		return false
	}
	req.Header.Set("Accept", "text/event-stream")
	res, err := hc.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	beginning := make([]byte, 4096)
	n, _ := res.Body.Read(beginning)
	_, at, _ := strings.Cut(string(beginning[:n]), "data: ")
	at, _, _ = strings.Cut(at, "\n")
	if res.StatusCode != http.StatusOK || at == "" {
		return false
	}
	post := func(message string) bool {
		res, err := g.post(ctx, hc, at, "", message)
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusAccepted
	}
	taken := post(initialize)
	_, _ = res.Body.Read(beginning) // else the calls come too early
	for range 10 {
		taken = taken && post(toolCall("large"))
	}
	<-ctx.Done()
	return taken
}

// unreadWebSocket is the same over a WebSocket.
func unreadWebSocket(ctx context.Context, g *gateway, hc *http.Client) bool {
	ws, _, err := websocket.Dial(ctx, "wss://"+g.address+"/mcp/ws", &websocket.DialOptions{HTTPClient: hc, Subprotocols: []string{"mcp"}}) //nolint:bodyclose // Dial leaves none to close
	if err != nil {
		return false
	}
	defer func() { _ = ws.CloseNow() }()
	if ws.Write(ctx, websocket.MessageText, []byte(initialize)) != nil {
		return false
	}
	if _, _, err := ws.Read(ctx); err != nil {
		return false
	}
	for range 10 {
		if ws.Write(ctx, websocket.MessageText, []byte(toolCall("large"))) != nil {
			return false
		}
	}
	<-ctx.Done()
	return true
}
