package session

import (
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/seal"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// sealID is what the client calls an id of a cluster: the same each time, since
// clients compare ids. No other principal's is the same.
func (s *session) sealID(kind, cluster, own string) string {
	return s.registry.seal.ID(s.idScope(kind), cluster, own)
}

// openID returns whose id it is, and what its owner calls it.
func (s *session) openID(kind, text string) (cluster, own string, ok bool) {
	return s.registry.seal.OpenID(s.idScope(kind), text, time.Now())
}

func (s *session) idScope(kind string) seal.Scope {
	return seal.Scope{Route: s.route, Principal: s.principal, Method: kind}
}

// task forwards a request about a task to the server that has it.
func (d dispatcher) task() ([]byte, error) {
	at := d.msg.Params().Get("taskId")
	ref, own, err := resolver(d).resolveTask(at.String())
	if err != nil {
		return nil, err
	}
	d.once = d.msg.Method() == spec.TasksCancel && d.session.naming.Transparent(d.route.Members)
	body, _, err := d.forward(ref, func(e *jsonrpc.Edits) { rename(e, at, own) })
	return body, err
}

// resolveTask finds the server that has a task, and what it calls it.
func (r resolver) resolveTask(id string) (federation.Member, string, error) {
	if refs := r.route.Members; r.session.naming.Transparent(refs) {
		return refs[0], id, nil
	}
	cluster, own, ok := r.session.openID(federation.TaskID, id)
	ref, member := r.route.member(cluster)
	if !ok || !member {
		return federation.Member{}, "", spec.InvalidParams("unknown task")
	}
	return ref, own, nil
}

// related gives the server its own name of the task that a client's message
// belongs to.
func (s *session) related(e *jsonrpc.Edits, to string, meta jsonrpc.Value) {
	at := meta.Get(jsonrpc.MetaRelatedTask, "taskId")
	if cluster, own, ok := s.openID(federation.TaskID, at.String()); ok && cluster == to {
		e.ReplaceString(at, own)
	}
}
