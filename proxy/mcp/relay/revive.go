package relay

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

// keptSubscriptions bounds what is subscribed to again.
const keptSubscriptions = 1000

// kept is what a session was told that the next one must be told again.
type kept struct {
	level         *jsonrpc.Message            // logging/setLevel; nil: it was not told
	subscriptions map[string]*jsonrpc.Message // resources/subscribe, by URI
}

// keep notes what a request that the gateway has granted changes.
func (s *sessions) keep(m *jsonrpc.Message) {
	uri := m.Params().Get("uri").String()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch m.Method() {
	case spec.LoggingSetLevel:
		s.kept.level = m
	case spec.ResourcesSubscribe:
		if s.kept.subscriptions == nil {
			s.kept.subscriptions = map[string]*jsonrpc.Message{}
		}
		if len(s.kept.subscriptions) < keptSubscriptions {
			s.kept.subscriptions[uri] = m
		}
	case spec.ResourcesUnsubscribe:
		delete(s.kept.subscriptions, uri)
	}
}

// revive begins a session in the place of one that is lost, once for all who
// have found it lost.
func (s *sessions) revive(lost *upstream.Session) error {
	s.mu.Lock()
	if s.session != lost {
		s.mu.Unlock()
		return nil // another request has done it
	}
	if s.revival == nil {
		s.revival = sync.OnceValue(func() error {
			err := s.begin(lost)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.revival = nil
			return err
		})
	}
	revival := s.revival
	s.mu.Unlock()
	return revival()
}

// begin initialises as the client did, and brings the session to the state
// that the client believes it to have.
func (s *sessions) begin(lost *upstream.Session) error {
	ctx, cancel := context.WithTimeout(s.work, s.opts.Patience)
	defer cancel()
	s.mu.Lock()
	init, initialized, requests := s.init, s.initialized, []*jsonrpc.Message{}
	if s.kept.level != nil {
		requests = append(requests, s.kept.level)
	}
	for _, m := range s.kept.subscriptions {
		requests = append(requests, m)
	}
	s.mu.Unlock()
	s.opts.Log("the session is lost; initializing anew")
	var answer *jsonrpc.Message
	err := s.persist(ctx, &request{Message: init}, func() error {
		return s.initialize(ctx, init, func(got *jsonrpc.Message) { answer = got })
	})
	if err != nil {
		return err
	}
	if answer.IsError() {
		return fmt.Errorf("the gateway refuses to initialize anew: %s", answer.ErrorMessage())
	}
	in, was := s.current(), lost.Server()
	if version := in.Server().Version; version != was.Version {
		// The client speaks what it was told. It must start anew.
		err := fmt.Errorf("the gateway came back with revision %s in the place of %s", version, was.Version)
		s.fail(err)
		return err
	}
	if !initialized {
		return nil
	}
	defer s.listen(in)
	if err := in.Send(ctx, jsonrpc.NewNotification(spec.NotificationInitialized, nil)); err != nil {
		return explained(err)
	}
	for _, m := range requests {
		id := jsonrpc.StringID(rand.Text()) // none that the client uses
		if _, err := in.Call(ctx, jsonrpc.NewRequest(id, m.Method(), m.Params().Raw()), id, s.out.pass); err != nil {
			return explained(err)
		}
	}
	// Another process may have another catalogue.
	for _, list := range []string{"tools", "prompts", "resources"} {
		if was.Result.Result().Get("capabilities", list, "listChanged").Bool() {
			s.out.write(jsonrpc.NewNotification("notifications/"+list+"/list_changed", nil))
		}
	}
	return nil
}
