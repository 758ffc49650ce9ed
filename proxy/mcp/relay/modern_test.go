package relay

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

func modernRequest(id, method, rest string) string {
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"` + method + `","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}` + rest + `}}`
}

func TestModernRequestsAreRepeatedInHeaders(t *testing.T) {
	g := newGateway(t, func(w http.ResponseWriter, s seen) {
		switch {
		case s.method == "tools/list":
			result(w, s, `{"tools":[{"name":"grüße","inputSchema":{"type":"object","properties":{"where":{"type":"string","x-mcp-header":"Region"}}}}]}`)
		case s.method == "tools/call" && s.Header.Get("Mcp-Param-Region") != "eu":
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32020,"message":"header mismatch"}}`, s.id)
		default:
			result(w, s, `{"ok":true}`)
		}
	})
	d := connect(t, g, func() (string, error) { return "secret", nil })
	d.say(modernRequest("1", "tools/call", `,"name":"grüße","arguments":{"where":"eu"}`))
	if got := d.hear(); !strings.Contains(got, `"ok":true`) {
		t.Error(got)
	}
	d.say(modernRequest("2", "tools/call", `,"name":"grüße","arguments":{"where":"us"}`))
	if got := d.hear(); !strings.Contains(got, "-32020") {
		t.Error(got)
	}
	calls := g.calls("tools/call")
	h := calls[1].Header
	if len(calls) != 4 || h.Get("Mcp-Method") != "tools/call" || h.Get("Mcp-Name") != "=?base64?Z3LDvMOfZQ==?=" || h.Get("Mcp-Protocol-Version") != "2026-07-28" ||
		h.Get("Mcp-Session-Id") != "" || h.Get("Authorization") != "Bearer secret" || !slices.Equal(h["Accept"], []string{"application/json, text/event-stream"}) {
		t.Errorf("%d calls, %v", len(calls), h)
	}
}

func TestAModernCancellationClosesTheConnection(t *testing.T) {
	begun, closed := make(chan struct{}), make(chan struct{})
	g := newGateway(t, func(w http.ResponseWriter, s seen) {
		if s.method == "tools/call" {
			close(begun)
			<-s.Context().Done()
			close(closed)
			return
		}
		result(w, s, "{}")
	})
	d := connect(t, g, nil)
	d.say(modernRequest(`"x"`, "tools/call", `,"name":"x"`))
	<-begun
	d.say(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"x"}}`)
	<-closed
	d.say(modernRequest("2", "server/discover", ""))
	if got := d.hear(); !strings.Contains(got, `"id": 2`) {
		t.Errorf("after the cancellation: %s", got)
	}
	if n := len(g.calls("notifications/cancelled")); n != 0 {
		t.Error("the notification was sent")
	}
}

func TestAModernSubscriptionOutlivesItsConnections(t *testing.T) {
	var mu sync.Mutex
	n := 0
	g := newGateway(t, func(w http.ResponseWriter, s seen) {
		mu.Lock()
		n++
		nth := n
		mu.Unlock()
		w.Header().Set("Content-Type", "text/event-stream")
		event := func(data string) {
			fmt.Fprintf(w, "data: %s\n\n", data)
			_ = http.NewResponseController(w).Flush()
		}
		const meta = `"_meta":{"io.modelcontextprotocol/subscriptionId":7}`
		if nth == 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		event(`{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{` + meta + `,"notifications":{"promptsListChanged":true,"resourceSubscriptions":["a:1"]}}}`)
		switch nth {
		case 1: // broken off
		case 2: // ended
			event(`{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete"}}`)
		default:
			event(`{"jsonrpc":"2.0","method":"notifications/prompts/list_changed","params":{` + meta + `,"last":true}}`)
			<-s.Context().Done()
		}
	})
	d := connect(t, g, nil)
	d.say(modernRequest("7", "subscriptions/listen", `,"notifications":{"promptsListChanged":true}`))
	var got []string
	for len(got) == 0 || !strings.Contains(got[len(got)-1], `"last":true`) {
		got = append(got, d.hear())
	}
	text := strings.Join(got, "")
	if strings.Count(text, "acknowledged") != 1 || strings.Contains(text, "result") || strings.Count(text, `notifications/prompts/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":7}}`) != 2 ||
		strings.Count(text, `notifications/resources/updated","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":7},"uri":"a:1"}`) != 2 {
		t.Errorf("%s", text)
	}
}
