package upstream

import (
	"errors"
	"net/url"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// maxMemories bounds the endpoints that are remembered; they come and go with the
// addresses of names.
const maxMemories = 4096

// legacyAge is how long it is believed that a server knows no revision without
// sessions: it may be replaced by a newer one. To ask a command again can cost
// a process, and the command changes with the configuration only.
const (
	legacyAge        = 5 * time.Minute
	legacyAgeCommand = time.Hour
)

type memoryKey struct{ cluster, endpoint string }

// spoken is what an endpoint was found to speak. The zero spoken knows nothing.
type spoken struct {
	kind Kind // 0: unknown
	// discover is the answer to server/discover of a server that lists a
	// revision without sessions.
	discover *jsonrpc.Message
	// doubted: the server may have become another one, and is asked before discover
	// is believed again.
	doubted bool
	// legacy is when the server was last found to know no such revision, and
	// why says how.
	legacy time.Time
	why    string
	// listed are the revisions that it listed then, nil if it listed none.
	listed []string
	// modern: the server has answered that it knows no other.
	modern bool
	// redirected is the path that the server has redirected to; nil where it has not.
	redirected *url.URL
	// tools are what its tools want in headers; nil while none was read.
	tools *toolHeaders
}

// isLegacy reports whether the server is believed to know no revision
// without sessions.
func (k spoken) isLegacy(c *clusters.Cluster) bool {
	age := legacyAge
	if c.IsCommand() {
		age = legacyAgeCommand
	}
	return time.Since(k.legacy) <= age
}

// knowledge is what a client remembers of one endpoint. Sessions with it share
// that.
type knowledge struct {
	client *Client
	key    memoryKey
}

func (k knowledge) get() spoken {
	k.client.mu.Lock()
	defer k.client.mu.Unlock()
	return k.client.memories[k.key]
}

// learn changes what is known of the endpoint.
func (k knowledge) learn(change func(*spoken)) {
	k.client.mu.Lock()
	defer k.client.mu.Unlock()
	memories := k.client.memories
	known, ok := memories[k.key]
	switch {
	case memories == nil:
		memories = map[memoryKey]spoken{}
		k.client.memories = memories
	case !ok && len(memories) >= maxMemories:
		for other := range memories { // in no order
			delete(memories, other)
			break
		}
	}
	change(&known)
	memories[k.key] = known
}

// discovered remembers the answer to server/discover.
func (k knowledge) discovered(m *jsonrpc.Message) {
	k.learn(func(s *spoken) { s.discover, s.doubted = m, false })
}

// undiscovered forgets it: the server does not list the revision any more.
func (k knowledge) undiscovered() {
	k.learn(func(s *spoken) { s.discover, s.modern = nil, false })
}

// doubt makes the next session ask the server who it is.
func (k knowledge) doubt() { k.learn(func(s *spoken) { s.doubted = true }) }

// legacy remembers that initialize is what the server knows; why is what became
// of server/discover.
func (k knowledge) legacy(why error) {
	var list *notListedError
	listed := []string(nil)
	if errors.As(why, &list) {
		listed = list.versions
	}
	k.learn(func(s *spoken) {
		s.legacy, s.why, s.listed, s.discover, s.modern = time.Now(), snippet([]byte(why.Error())), listed, nil, false
		s.doubted = false
	})
}

// tools returns what the tools of the endpoint want in headers.
func (k knowledge) tools() (tools *toolHeaders) {
	if tools = k.get().tools; tools != nil {
		return tools
	}
	k.learn(func(s *spoken) {
		if s.tools == nil {
			s.tools = new(toolHeaders)
		}
		tools = s.tools
	})
	return tools
}

// redirected remembers where the server is, nil where it is configured to be,
// and tells of it when that is news.
func (k knowledge) redirected(to *url.URL) {
	if to != nil {
		to = &url.URL{Path: to.Path, RawPath: to.RawPath} // the query may hold a key
	}
	news := false
	k.learn(func(s *spoken) {
		news = to != nil && (s.redirected == nil || !sameResource(s.redirected, to))
		s.redirected = to
	})
	if on := k.client.OnMoved; news && on != nil {
		on(k.key.cluster, k.key.endpoint, to.Path)
	}
}
