package mcp

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// dispatch answers a request of the client: the whole response, or an error
// that failed makes one of.
func (s *session) dispatch(c *call) ([]byte, error) {
	method := c.msg.Method()
	if kind, ok := spec.ListOf(method); ok {
		return s.list(c, kind)
	}
	if method == spec.ServerDiscover && s.modern() {
		return s.discover(c)
	}
	switch method {
	case spec.Ping:
		return jsonrpc.NewResult(c.msg.ID(), nil), nil
	case spec.ToolsCall:
		return s.named(c, spec.ToolsList, false)
	case spec.PromptsGet:
		return s.named(c, spec.PromptsList, true)
	case spec.ResourcesRead:
		body, _, err := s.resource(c, true)
		return body, err
	case spec.ResourcesSubscribe:
		return s.subscribe(c)
	case spec.ResourcesUnsubscribe:
		return s.unsubscribe(c)
	case spec.TasksGet, spec.TasksResult, spec.TasksCancel, spec.TasksUpdate:
		return s.task(c)
	case spec.CompletionComplete:
		return s.complete(c)
	case spec.LoggingSetLevel:
		return s.setLevel(c)
	}
	refs := c.route.Members
	if !s.passes(refs) {
		return nil, spec.MethodNotFound(method)
	}
	body, _, err := c.forward(refs[0], false, nil)
	return body, err
}

// passes reports whether what the specification does not know passes to the
// only server. Where the route hides tools of it nothing does: the server may
// have ways of its own to call a tool.
func (s *session) passes(refs []federation.Member) bool {
	return s.naming.Transparent(refs) && refs[0].Tools.All()
}

// named forwards a request that names a tool or a prompt.
func (s *session) named(c *call, list string, safe bool) ([]byte, error) {
	at := c.msg.Params().Get("name")
	if at.Kind() != jsonrpc.String {
		return nil, spec.InvalidParams("params.name is not a string")
	}
	ref, own, err := s.resolve(c, list, at.String())
	if err != nil {
		return nil, err
	}
	body, _, err := c.forward(ref, safe, func(e *jsonrpc.Edits) {
		if list == spec.ToolsList && !ref.Tools.All() {
			e.ReplaceString(at, own) // what was compared, and not what a server may read as another name
			return
		}
		rename(e, at, own)
	})
	return body, err
}

// rename puts a cluster's own name in the place of the client's.
func rename(e *jsonrpc.Edits, at jsonrpc.Value, own string) {
	if at.String() != own {
		e.ReplaceString(at, own)
	}
}

// resource forwards a request that names a resource, and returns the
// cluster's own URI of it too.
func (s *session) resource(c *call, safe bool) ([]byte, target, error) {
	at := c.msg.Params().Get("uri")
	if at.Kind() != jsonrpc.String {
		return nil, target{}, spec.InvalidParams("params.uri is not a string")
	}
	ref, own, err := s.resolveURI(c, at.String())
	if err != nil {
		return nil, target{}, err
	}
	body, m, err := c.forward(ref, safe, func(e *jsonrpc.Edits) { rename(e, at, own) })
	if err != nil {
		return nil, target{}, err
	}
	return body, target{cluster: ref.Name, uri: own, ok: !m.IsError()}, nil
}

// target is where a request about a resource went.
type target struct {
	cluster, uri string
	ok           bool // the server answered with a result
}

func (s *session) subscribe(c *call) ([]byte, error) {
	body, to, err := s.resource(c, true)
	if p := s.servers.at(to.cluster); err == nil && to.ok && p != nil {
		p.subscribed(to.uri, true)
	}
	return body, err
}

func (s *session) unsubscribe(c *call) ([]byte, error) {
	body, to, err := s.resource(c, true)
	if p := s.servers.at(to.cluster); err == nil && p != nil {
		p.subscribed(to.uri, false)
	}
	return body, err
}

// complete forwards a completion; the ref alone is mapped.
func (s *session) complete(c *call) ([]byte, error) {
	at := c.msg.Params().Get("ref")
	if key, dup := at.DuplicateKey(); dup {
		return nil, spec.InvalidParams("duplicate key in params.ref: " + key)
	}
	var ref federation.Member
	var own string
	var err error
	name := at.Get("name")
	switch at.Get("type").String() {
	case "ref/prompt":
		ref, own, err = s.resolve(c, spec.PromptsList, name.String())
	case "ref/resource":
		name = at.Get("uri")
		ref, own, err = s.resolveURI(c, name.String())
	default:
		err = spec.InvalidParams("params.ref.type is neither ref/prompt nor ref/resource")
	}
	if err != nil {
		return nil, err
	}
	body, _, err := c.forward(ref, true, func(e *jsonrpc.Edits) { rename(e, name, own) })
	return body, err
}

// logLevels are those of MCP (RFC 5424 section 6.2.1).
const logLevels = "debug info notice warning error critical alert emergency"

// setLevel tells every server that can log, and remembers it for those that
// are initialised later.
func (s *session) setLevel(c *call) ([]byte, error) {
	level := c.msg.Params().Get("level").String()
	refs := c.route.Members
	if s.naming.Transparent(refs) {
		body, m, err := c.forward(refs[0], true, nil)
		if err == nil && !m.IsError() {
			s.servers.setLogLevel(level)
		}
		return body, err
	}
	if !slices.Contains(strings.Fields(logLevels), level) {
		return nil, spec.InvalidParams("params.level is none of: " + logLevels)
	}
	s.servers.setLogLevel(level)
	var wg sync.WaitGroup
	for _, ref := range refs {
		p := s.servers.at(ref.Name)
		if p == nil || !p.isOpen() || !p.capable("logging") {
			continue // the level is replayed when it is opened
		}
		wg.Go(func() {
			// One that does not answer now has lost its session, or is told
			// again with the next one; the others are not to wait for it.
			ctx, cancel := context.WithTimeoutCause(c.ctx, p.patience(c.route), errListTime)
			defer cancel()
			_, _ = c.exchange(ctx, ref, true, nil)
		})
	}
	wg.Wait()
	return jsonrpc.NewResult(c.msg.ID(), nil), nil
}
