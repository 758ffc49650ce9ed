package mcp

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/slot"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/sse"
)

// heard is the stream of a subscription.
type heard struct {
	t      testing.TB
	events *sse.Reader
	end    context.CancelFunc
}

// subscribe opens subscriptions/listen with a filter, as the request 7.
func (g *gateway) subscribe(filter string) *heard {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	body := `{"jsonrpc":"2.0","id":7,"method":"subscriptions/listen","params":{` + modernMeta + `,"notifications":` + filter + `}}`
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	for _, h := range [][2]string{{"Content-Type", "application/json"}, {"Accept", "application/json, text/event-stream"}, {spec.HeaderVersion, spec.Modern}, {spec.HeaderMethod, "subscriptions/listen"}} {
		req.Header.Set(h[0], h[1])
	}
	res, err := g.server.Client().Do(req)
	if err != nil || res.StatusCode != http.StatusOK || res.Header.Get("X-Accel-Buffering") != "no" {
		g.t.Fatalf("%v, %+v", err, res)
	}
	h := &heard{g.t, sse.NewReader(res.Body, 1<<20), cancel}
	g.t.Cleanup(func() { cancel(); res.Body.Close() })
	return h
}

// next is the next message, which must carry the subscription's id.
func (h *heard) next() *jsonrpc.Message {
	h.t.Helper()
	event, err := h.events.Next()
	if err != nil {
		h.t.Fatalf("the stream ended: %v", err)
	}
	m, err := jsonrpc.Parse(event.Data)
	if err != nil {
		h.t.Fatalf("%q: %v", event.Data, err)
	}
	meta := m.Params().Get("_meta", jsonrpc.MetaSubscriptionID)
	if m.Kind() == jsonrpc.Response {
		meta = m.Result().Get("_meta", jsonrpc.MetaSubscriptionID)
	}
	if string(meta.Raw()) != "7" {
		h.t.Errorf("without the subscription's id: %s", m.Raw())
	}
	return m
}

func TestSubscriptionHearsServersOfBothEras(t *testing.T) {
	a, b := newStateless(t, "alpha"), newServer(t, "beta")
	g := newGateway(t, nil, a.backend("alpha"), b.backend("beta"))
	h := g.subscribe(`{"toolsListChanged":true,"resourceSubscriptions":["alpha+file:///a","beta+file:///a","nobody+x:y"]}`)
	ack := h.next()
	want := `{"toolsListChanged":true,"resourceSubscriptions":["alpha+file:///a","beta+file:///a"]}`
	if ack.Method() != "notifications/subscriptions/acknowledged" || string(ack.Params().Get("notifications").Raw()) != want {
		t.Fatalf("acknowledged: %s", ack.Raw())
	}
	for _, s := range []*server{a, b} {
		s.AddPrompt(&sdk.Prompt{Name: "unwanted"}, nil)
		sdk.AddTool(s.Server, &sdk.Tool{Name: "later"}, func(context.Context, *sdk.CallToolRequest, struct{}) (*sdk.CallToolResult, any, error) {
			return &sdk.CallToolResult{}, nil, nil
		})
		if m := h.next(); m.Method() != "notifications/tools/list_changed" {
			t.Errorf("heard %s", m.Raw())
		}
	}
	for name, s := range map[string]*server{"alpha": a, "beta": b} {
		if err := s.ResourceUpdated(within(t), &sdk.ResourceUpdatedNotificationParams{URI: "file:///a"}); err != nil {
			t.Fatal(err)
		}
		m := h.next()
		if m.Method() != "notifications/resources/updated" || m.Params().Get("uri").String() != name+"+file:///a" {
			t.Errorf("heard %s", m.Raw())
		}
	}
	h.end()
	testkit.Eventually(t, "the session's end", func() bool { return len(g.hub.Stats()) == 0 })
}

func TestSubscriptionIsToldOfItsEnd(t *testing.T) {
	for name, end := range map[string]func(*gateway){
		"the route is removed": func(g *gateway) { g.hub.Commit(nil) },
		"the process ends":     func(g *gateway) { g.hub.Close(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, nil, newServer(t, "alpha").backend("alpha"))
			h := g.subscribe(`{"promptsListChanged":true}`)
			h.next()
			end(g)
			if m := h.next(); m.Method() != "notifications/cancelled" || string(m.Params().Get("requestId").Raw()) != "7" {
				t.Errorf("first %s", m.Raw())
			}
			if m := h.next(); m.Result().Get("resultType").String() != "complete" || m.ID().Raw() != "7" {
				t.Errorf("then %s", m.Raw())
			}
			if event, err := h.events.Next(); err == nil {
				t.Errorf("then %q", event.Data)
			}
		})
	}
}

func TestSubscriptionOutlivesItsServer(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, nil, a.backend("alpha"), newServer(t, "beta").backend("beta"))
	h := g.subscribe(`{"resourceSubscriptions":["alpha+file:///a"]}`)
	h.next()
	subscribed := a.subbed.Load()
	a.forget()
	a.http.CloseClientConnections()
	testkit.Eventually(t, "another subscription at the server", func() bool { return a.subbed.Load() > subscribed })
	if err := a.ResourceUpdated(within(t), &sdk.ResourceUpdatedNotificationParams{URI: "file:///a"}); err != nil {
		t.Fatal(err)
	}
	if m := h.next(); m.Params().Get("uri").String() != "alpha+file:///a" {
		t.Errorf("heard %s", m.Raw())
	}
}

func TestGenerationsAreHeardOnSubscriptions(t *testing.T) {
	a, b := newServer(t, "alpha"), newServer(t, "beta")
	g := newGateway(t, nil, a.backend("alpha"))
	h := g.subscribe(`{"toolsListChanged":true}`)
	h.next()
	g.commit(nil, a.backend("alpha"), b.backend("beta"))
	if m := h.next(); m.Method() != "notifications/tools/list_changed" {
		t.Errorf("heard %s", m.Raw())
	}
}

func TestFiltersThatMakeNoSenseAreRefused(t *testing.T) {
	g := newGateway(t, nil, newServer(t, "alpha").backend("alpha"))
	many := strings.Repeat(`"x:y",`, slot.MostSubscriptions) + `"x:y"`
	for _, filter := range []string{`[]`, `{"toolsListChanged":true,"toolsListChanged":false}`, `{"resourceSubscriptions":[1]}`, fmt.Sprintf(`{"resourceSubscriptions":[%s]}`, many)} {
		body := `{"jsonrpc":"2.0","id":7,"method":"subscriptions/listen","params":{` + modernMeta + `,"notifications":` + filter + `}}`
		res, answer := g.post(body, spec.HeaderVersion, spec.Modern, spec.HeaderMethod, "subscriptions/listen")
		if res.StatusCode != http.StatusBadRequest || !strings.Contains(answer, "-32602") {
			t.Errorf("%.60s: %d %s", filter, res.StatusCode, answer)
		}
	}
}
