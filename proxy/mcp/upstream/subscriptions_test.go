package upstream

import (
	"testing"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

func TestSubscriptionsAreWhatTheServerIsAskedFor(t *testing.T) {
	s := newSubscriptions()
	if filter, _, _ := s.filter(jsonrpc.Value{}); filter != nil {
		t.Errorf("without any, the filter is %s", filter)
	}
	capabilities, err := jsonrpc.ParseValue([]byte(`{"tools":{"listChanged":true},"prompts":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	_, _, changed := s.filter(capabilities)
	s.resource("b", true)
	seq := s.resource("a", true)
	s.task("t")
	select {
	case <-changed:
	default:
		t.Error("the stream does not learn that there is something else to hear")
	}
	if again := s.resource("a", true); again != 0 {
		t.Errorf("what is heard already changes something: %d", again)
	}
	filter, now, _ := s.filter(capabilities)
	if want := `{"toolsListChanged":true,"resourceSubscriptions":["a","b"],"taskIds":["t"]}`; string(filter) != want {
		t.Errorf("the filter is %s, want %s", filter, want)
	}
	if known, next := s.acknowledged(seq); known {
		t.Error("the server knows before it has said so")
	} else {
		s.acknowledge(now)
		<-next
	}
	if known, _ := s.acknowledged(seq); !known {
		t.Error("the server knows, and that is not known")
	}
	s.resource("a", false)
	if s.has("a") || !s.has("b") || (*subscriptions)(nil).has("b") {
		t.Error("other resources are heard than are subscribed to")
	}
}
