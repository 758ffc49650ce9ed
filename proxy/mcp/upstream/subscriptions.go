package upstream

import (
	"encoding/json"
	"maps"
	"slices"
	"sync"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// subscriptions are what a session is to hear from a server without sessions, and
// how much of that the server has acknowledged (MCP 2026-07-28, Subscriptions).
type subscriptions struct {
	mu sync.Mutex
	// uris are resources, and tasks the ids of tasks, whose changes are heard.
	uris, tasks map[string]struct{}
	// changed is closed, and made anew, when there is something else to hear;
	// seq counts that.
	changed chan struct{}
	seq     int
	// heard is the seq that the server has acknowledged; acked is closed, and
	// made anew, when it does.
	heard int
	acked chan struct{}
}

func newSubscriptions() *subscriptions {
	return &subscriptions{
		uris: map[string]struct{}{}, tasks: map[string]struct{}{},
		changed: make(chan struct{}), acked: make(chan struct{}), seq: 1,
	}
}

// resource adds a resource to what is heard, or takes it away. It returns the seq
// that the server must acknowledge, 0 where nothing has changed.
func (s *subscriptions) resource(uri string, on bool) (seq int) { return s.change(s.uris, uri, on) }

// task adds a task to what is heard. It returns what resource does.
func (s *subscriptions) task(id string) (seq int) { return s.change(s.tasks, id, true) }

func (s *subscriptions) change(names map[string]struct{}, name string, on bool) (seq int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, has := names[name]; has == on {
		return 0
	}
	if on {
		names[name] = struct{}{}
	} else {
		delete(names, name)
	}
	s.seq++
	close(s.changed)
	s.changed = make(chan struct{})
	return s.seq
}

// has reports whether changes of a resource are to be heard. nil subscriptions are
// none.
func (s *subscriptions) has(uri string) bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, is := s.uris[uri]
	return is
}

// acknowledge notes that the server knows what there was to hear at seq.
func (s *subscriptions) acknowledge(seq int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = max(s.heard, seq)
	close(s.acked)
	s.acked = make(chan struct{})
}

// acknowledged reports whether the server knows what there was to hear at seq;
// next is closed by the next acknowledgement.
func (s *subscriptions) acknowledged(seq int) (known bool, next <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard >= seq, s.acked
}

// filter returns what there is to hear from a server with these capabilities, nil
// when that is nothing; changed is closed when it is something else.
func (s *subscriptions) filter(capabilities jsonrpc.Value) (filter []byte, seq int, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changes := func(list string) bool { return capabilities.Get(list, "listChanged").Bool() }
	filter, err := json.Marshal(struct {
		Tools     bool     `json:"toolsListChanged,omitempty"`
		Prompts   bool     `json:"promptsListChanged,omitempty"`
		Resources bool     `json:"resourcesListChanged,omitempty"`
		URIs      []string `json:"resourceSubscriptions,omitempty"`
		Tasks     []string `json:"taskIds,omitempty"`
	}{changes("tools"), changes("prompts"), changes("resources"), slices.Sorted(maps.Keys(s.uris)), slices.Sorted(maps.Keys(s.tasks))})
	if err != nil || len(filter) == len("{}") {
		return nil, s.seq, s.changed
	}
	return filter, s.seq, s.changed
}
