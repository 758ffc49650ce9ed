package mcp

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// listen opens a GET stream, whose lines the test reads.
func (g *gateway) listen(ctx context.Context, id string, headers ...string) *bufio.Scanner {
	g.t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set(spec.HeaderSession, id)
	req.Header.Set("Accept", "text/event-stream")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := g.server.Client().Do(req)
	if err != nil || res.StatusCode != http.StatusOK {
		g.t.Fatal(res, err)
	}
	g.t.Cleanup(func() { res.Body.Close() })
	return bufio.NewScanner(res.Body)
}

// until reads lines to the first that has part in it.
func until(t *testing.T, lines *bufio.Scanner, part string) {
	t.Helper()
	for lines.Scan() {
		if strings.Contains(lines.Text(), part) {
			return
		}
	}
	t.Fatalf("the stream ended without %s: %v", part, lines.Err())
}

func TestNotificationsWaitForTheNextStream(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, nil, a.backend("alpha"))
	id := g.initialize()
	g.post(`{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"file:///a"}}`, spec.HeaderSession, id)
	ctx, cancel := context.WithCancel(within(t))
	lines := g.listen(ctx, id)
	g.listening(1)
	updated := func() {
		if err := a.ResourceUpdated(within(t), &sdk.ResourceUpdatedNotificationParams{URI: "file:///a"}); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Eventually(t, "the server has a stream to the gateway", func() bool { return a.gets.Load() > 0 })
	updated()
	until(t, lines, "file:///a")

	cancel() // as a proxy does that ends long streams
	testkit.Eventually(t, "the stream has ended", func() bool { return g.hub.Stats()["test"].Streams == 0 })
	updated()
	until(t, g.listen(within(t), id), "file:///a")
}

func TestRestartedServerIsHeardWithoutACall(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, nil, a.backend("alpha"))
	var got seen
	c := g.connect(got.options())
	g.listening(1)
	if err := c.Subscribe(within(t), &sdk.SubscribeParams{URI: "file:///a"}); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the server has a stream to the gateway", func() bool { return a.gets.Load() > 0 })
	before := a.subbed.Load()
	a.forget()
	a.http.CloseClientConnections()
	testkit.Eventually(t, "the subscription is replayed", func() bool { return a.subbed.Load() > before })
	testkit.Eventually(t, "the client hears of the server", func() bool { return got.has("tools changed") })
	testkit.Eventually(t, "the client hears the server", func() bool {
		err := a.ResourceUpdated(within(t), &sdk.ResourceUpdatedNotificationParams{URI: "file:///a"})
		return err == nil && got.has("updated file:///a")
	})
}
