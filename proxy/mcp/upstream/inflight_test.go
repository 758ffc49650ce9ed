package upstream

import (
	"errors"
	"testing"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

func message(t *testing.T, b []byte) *jsonrpc.Message {
	t.Helper()
	m, err := jsonrpc.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAMessageIsAboutOneOfTheCallsInFlight(t *testing.T) {
	var f inFlight
	add := func(id jsonrpc.ID, r routing) *pending {
		p := f.add(t.Context(), request{id: id, routing: r})
		if p == nil {
			t.Fatalf("%s is in use", id)
		}
		return p
	}
	notification := message(t, jsonrpc.NewNotification("notifications/message", nil))
	progress := func(token string) *jsonrpc.Message {
		return message(t, jsonrpc.NewNotification(spec.NotificationProgress, []byte(`{"progressToken":`+token+`}`)))
	}
	if f.owner(notification) != nil {
		t.Error("without a call, a message belongs to one")
	}
	one := add(jsonrpc.IntID(1), routing{token: jsonrpc.StringID("t")})
	quiet := add(jsonrpc.IntID(2), routing{quiet: true})
	if f.owner(notification) != one {
		t.Error("what is about the only call does not belong to it")
	}
	if f.add(t.Context(), request{id: jsonrpc.IntID(1)}) != nil {
		t.Error("an id is used twice")
	}
	two := add(jsonrpc.IntID(3), routing{token: jsonrpc.IntID(3)})
	if f.owner(notification) != nil {
		t.Error("of two calls one is chosen")
	}
	if f.owner(progress(`"t"`)) != one || f.owner(progress(`3`)) != two || f.owner(progress(`"other"`)) != nil {
		t.Error("progress belongs to another call than that of its token")
	}
	event := message(t, jsonrpc.NewNotification("notifications/tools/list_changed", []byte(`{"_meta":{"`+jsonrpc.MetaSubscriptionID+`":2}}`)))
	if f.owner(event) != quiet {
		t.Error("an event does not belong to its subscription")
	}
	if ping := message(t, jsonrpc.NewRequest(jsonrpc.IntID(9), spec.Ping, nil)); f.owner(ping) != nil {
		t.Error("a ping belongs to a call")
	}
}

func TestAnAnswerEndsItsCall(t *testing.T) {
	var f inFlight
	p := f.add(t.Context(), request{id: jsonrpc.IntID(1)})
	other := f.add(t.Context(), request{id: jsonrpc.IntID(2)})
	answer := message(t, jsonrpc.NewResult(jsonrpc.StringID("1"), nil))
	if !f.answered(answer, nil) || <-p.answer != answer {
		t.Fatal("an id of the other type is not that of the call")
	}
	if f.answered(answer, nil) || f.fail(jsonrpc.IntID(1), errors.New("late")) {
		t.Error("a call is ended twice")
	}
	why := errors.New("unreadable")
	if !f.failAll(why) || <-other.failed != why {
		t.Error("an answer without an id does not end the call that it may be about")
	}
	f.remove(other)
	if f.failAll(why) || other.deliver(answer, nil) {
		t.Error("a call that has returned is in flight")
	}
}
