package spec

import (
	"slices"
	"strings"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// The members of params that name what a request is about.
const (
	byName = "name"
	byURI  = "uri"
	byTask = "taskId"
)

// table has the requests of clients. Those of servers are few, and differ in all
// that they need.
var table = []Method{
	{Name: Initialize, Sessions: true, Idempotent: true},
	{Name: Ping, Sessions: true, Idempotent: true},
	{Name: ServerDiscover, Stateless: true, Idempotent: true, Cacheable: true},

	{Name: ToolsList, Sessions: true, Stateless: true, Idempotent: true, Cacheable: true,
		List: &List{Member: "tools", Key: byName, Capability: "tools", Label: "tool"}},
	{Name: ToolsCall, Of: ToolsList, Sessions: true, Stateless: true, Names: byName, NameRequired: true, MayRequireInput: true},

	{Name: PromptsList, Sessions: true, Stateless: true, Idempotent: true, Cacheable: true,
		List: &List{Member: "prompts", Key: byName, Capability: "prompts", Label: "prompt"}},
	{Name: PromptsGet, Of: PromptsList, Sessions: true, Stateless: true, Names: byName, NameRequired: true, Idempotent: true, MayRequireInput: true},

	{Name: ResourcesList, Sessions: true, Stateless: true, Idempotent: true, Cacheable: true,
		List: &List{Member: "resources", Key: byURI, URI: true, Capability: "resources", Label: "resource"}},
	{Name: ResourceTemplatesList, Sessions: true, Stateless: true, Idempotent: true, Cacheable: true,
		List: &List{Member: "resourceTemplates", Key: "uriTemplate", URI: true, Capability: "resources", Label: "template"}},
	{Name: ResourcesRead, Of: ResourcesList, Sessions: true, Stateless: true, Names: byURI, NameRequired: true, Idempotent: true, Cacheable: true, MayRequireInput: true},
	{Name: ResourcesSubscribe, Of: ResourcesList, Sessions: true, NeedsSession: true, Idempotent: true},
	{Name: ResourcesUnsubscribe, Of: ResourcesList, Sessions: true, NeedsSession: true, Idempotent: true},

	{Name: CompletionComplete, Sessions: true, Stateless: true, Idempotent: true},
	{Name: LoggingSetLevel, Sessions: true, NeedsSession: true, Idempotent: true},
	{Name: SubscriptionsListen, Stateless: true, Idempotent: true},

	{Name: TasksList, Sessions: true, Stateless: true, Idempotent: true, Cacheable: true,
		List: &List{Member: "tasks", Key: byTask, ID: true, Capability: "tasks", Label: "task"}},
	{Name: TasksGet, Of: TasksList, Sessions: true, Stateless: true, Names: byTask, Idempotent: true},
	{Name: TasksResult, Of: TasksList, Sessions: true, Idempotent: true},
	{Name: TasksCancel, Of: TasksList, Sessions: true, Stateless: true, Names: byTask, Idempotent: true},
	{Name: TasksUpdate, Of: TasksList, Sessions: true, Stateless: true, Names: byTask},
}

var methods = byMethod(table)

func byMethod(table []Method) map[string]Method {
	m := make(map[string]Method, len(table))
	for _, method := range table {
		if method.List != nil {
			method.List.Method = method.Name
		}
		m[method.Name] = method
	}
	return m
}

// Request returns what the specification says of a client's request, or the zero
// Method where it does not know the request.
func Request(method string) Method { return methods[method] }

// NameOf returns the member of params that names what a client's request is about.
// It does not exist where the request has none.
func NameOf(m *jsonrpc.Message) jsonrpc.Value {
	member := Request(m.Method()).Names
	if member == "" {
		return jsonrpc.Value{}
	}
	return m.Params().Get(member)
}

// ListChanges returns the notifications that a list has changed.
func ListChanges() []string {
	return []string{NotificationToolsChanged, NotificationPromptsChanged, NotificationResourcesChanged}
}

// IsListChange reports whether a notification says that a list has changed.
func IsListChange(method string) bool { return slices.Contains(ListChanges(), method) }

// ListOfChange returns the request for the list that a notification says has
// changed.
func ListOfChange(notification string) string {
	return strings.TrimSuffix(strings.TrimPrefix(notification, "notifications/"), "_changed")
}
