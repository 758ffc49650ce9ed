package session

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// dispatcher answers one request of a client, with what the servers say to it.
type dispatcher struct{ *call }

// dispatch answers the request of the client: the whole response, or an error
// that failed makes one of.
func (d dispatcher) dispatch() ([]byte, error) {
	method := spec.Request(d.msg.Method())
	switch {
	case method.List != nil:
		return lister{d.call, *method.List}.list()
	case method.Name == spec.ServerDiscover && d.session.modern:
		return d.discover()
	case method.Name == spec.Ping:
		return jsonrpc.NewResult(d.msg.ID(), nil), nil
	case method.Name == spec.CompletionComplete:
		return d.complete()
	case method.Name == spec.LoggingSetLevel:
		return d.setLevel()
	case method.Of == spec.ResourcesList:
		return d.resource()
	case method.Of == spec.TasksList:
		return d.task()
	case method.Of != "":
		return d.named(method.Of)
	}
	refs := d.route.Members
	if !d.session.passes(refs) {
		return nil, spec.MethodNotFound(d.msg.Method())
	}
	d.once = true // what the server makes of it is unknown
	body, _, err := d.forward(refs[0], nil)
	return body, err
}

// named forwards a request that names a tool or a prompt.
func (d dispatcher) named(list string) ([]byte, error) {
	at := d.msg.Params().Get("name")
	if at.Kind() != jsonrpc.String {
		return nil, spec.InvalidParams("params.name is not a string")
	}
	ref, own, err := resolver(d).resolve(list, at.String())
	if err != nil {
		return nil, err
	}
	body, _, err := d.forward(ref, func(e *jsonrpc.Edits) {
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

// resource forwards a request that names a resource. What the client has subscribed
// to is noted.
func (d dispatcher) resource() ([]byte, error) {
	at := d.msg.Params().Get("uri")
	if at.Kind() != jsonrpc.String {
		return nil, spec.InvalidParams("params.uri is not a string")
	}
	ref, own, err := resolver(d).resolveURI(at.String())
	if err != nil {
		return nil, err
	}
	body, m, err := d.forward(ref, func(e *jsonrpc.Edits) { rename(e, at, own) })
	if err != nil {
		return nil, err
	}
	switch method := d.msg.Method(); {
	case method == spec.ResourcesSubscribe && !m.IsError():
		d.session.servers.at(ref.Name).Subscribed(own, true)
	case method == spec.ResourcesUnsubscribe:
		d.session.servers.at(ref.Name).Subscribed(own, false)
	}
	return body, nil
}

// complete forwards a completion; the ref alone is mapped.
func (d dispatcher) complete() ([]byte, error) {
	at := d.msg.Params().Get("ref")
	if key, dup := at.DuplicateKey(); dup {
		return nil, spec.InvalidParams("duplicate key in params.ref: " + key)
	}
	var ref federation.Member
	var own string
	var err error
	name := at.Get("name")
	switch at.Get("type").String() {
	case "ref/prompt":
		ref, own, err = resolver(d).resolve(spec.PromptsList, name.String())
	case "ref/resource":
		name = at.Get("uri")
		ref, own, err = resolver(d).resolveURI(name.String())
	default:
		err = spec.InvalidParams("params.ref.type is neither ref/prompt nor ref/resource")
	}
	if err != nil {
		return nil, err
	}
	body, _, err := d.forward(ref, func(e *jsonrpc.Edits) { rename(e, name, own) })
	return body, err
}

// logLevels are those of MCP (RFC 5424 section 6.2.1).
const logLevels = "debug info notice warning error critical alert emergency"

// setLevel tells every server that can log, and remembers it for those that
// are initialised later.
func (d dispatcher) setLevel() ([]byte, error) {
	level := d.msg.Params().Get("level").String()
	refs := d.route.Members
	if d.session.naming.Transparent(refs) {
		body, m, err := d.forward(refs[0], nil)
		if err == nil && !m.IsError() {
			d.session.servers.setLogLevel(level)
		}
		return body, err
	}
	if !slices.Contains(strings.Fields(logLevels), level) {
		return nil, spec.InvalidParams("params.level is none of: " + logLevels)
	}
	d.session.servers.setLogLevel(level)
	var wg sync.WaitGroup
	for _, ref := range refs {
		at := d.session.servers.at(ref.Name)
		if !at.Server().Open || !at.Server().Capable("logging") {
			continue // the level is replayed when it is opened
		}
		wg.Go(func() {
			// One that does not answer now has lost its session, or is told
			// again with the next one; the others are not to wait for it.
			patience, _ := at.Patience(&d.route.slots)
			ctx, cancel := context.WithTimeoutCause(d.ctx, patience, errListTime)
			defer cancel()
			_, _ = d.exchange(ctx, ref, nil)
		})
	}
	wg.Wait()
	return jsonrpc.NewResult(d.msg.ID(), nil), nil
}
