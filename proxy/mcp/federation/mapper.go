package federation

import (
	"iter"
	"strings"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// The kinds of ids of servers that clients of a federation hold sealed.
const (
	TaskID        = "task"
	ElicitationID = "elicitation"
)

// Seal returns what a client calls an id of a member: the same each time, since
// clients compare ids. kind is TaskID or ElicitationID.
type Seal func(kind, cluster, own string) string

// Mapper rewrites what one member says for a client that sees several. What
// it does not touch stays byte for byte.
type Mapper struct {
	cluster string
	// prefix stands before the names of tools and prompts.
	prefix string
	// transparent: nothing is rewritten.
	transparent bool
	seal        Seal
}

// name is what a client calls the member's tool or prompt.
func (m Mapper) name(own string) string { return m.prefix + own }

// uri is what a client calls the member's resource: <cluster>+<whole URI>.
// Of ui:// the scheme is kept, since hosts of MCP Apps look for it.
func (m Mapper) uri(own string) string {
	if m.transparent {
		return own
	}
	if rest, ok := strings.CutPrefix(own, uiScheme); ok {
		return uiScheme + m.cluster + "+" + rest
	}
	return m.cluster + "+" + own
}

const uiScheme = "ui://"

// splitURI cuts what uri made: at the first "+", since no name of a cluster
// holds one.
func splitURI(uri string) (cluster, own string, ok bool) {
	if rest, ui := strings.CutPrefix(uri, uiScheme); ui {
		cluster, own, ok = strings.Cut(rest, "+")
		return cluster, uiScheme + own, ok
	}
	return strings.Cut(uri, "+")
}

// Result notes what must change in a result of the member before a client
// of a federation sees it.
func (m Mapper) Result(e *jsonrpc.Edits, method string, res jsonrpc.Value) {
	if m.transparent {
		return
	}
	switch method {
	case spec.ToolsCall, spec.TasksResult:
		m.content(e, res.Get("content"))
		m.id(e, TaskID, res.Get("task", "taskId"))
		if res.Get("resultType").String() == "task" {
			m.id(e, TaskID, res.Get("taskId"))
		}
	case spec.TasksGet, spec.TasksCancel, spec.TasksUpdate:
		m.task(e, res)
	case spec.PromptsGet:
		for _, message := range res.Get("messages").Each {
			m.content(e, message.Get("content"))
		}
	case spec.ResourcesRead:
		for _, c := range res.Get("contents").Each {
			m.at(e, c.Get("uri"))
			m.meta(e, c)
		}
	}
	m.meta(e, res)
}

// Failure does the same for an error: resources/read names the URI in it.
func (m Mapper) Failure(e *jsonrpc.Edits, err jsonrpc.Value) {
	if !m.transparent {
		m.at(e, err.Get("data", "uri"))
		for _, page := range err.Get("data", "elicitations").Each {
			m.Request(e, spec.ElicitationCreate, page)
		}
	}
}

// id gives an id of the member the name that the client knows.
func (m Mapper) id(e *jsonrpc.Edits, kind string, at jsonrpc.Value) {
	if at.Kind() == jsonrpc.String && m.seal != nil {
		e.ReplaceString(at, m.seal(kind, m.cluster, at.String()))
	}
}

// task rewrites a task as tasks/get and its notifications show it, with what it
// came to or what it asks for.
func (m Mapper) task(e *jsonrpc.Edits, task jsonrpc.Value) {
	m.id(e, TaskID, task.Get("taskId"))
	m.content(e, task.Get("result", "content"))
	for _, ask := range task.Get("inputRequests").Each {
		m.Request(e, ask.Get("method").String(), ask.Get("params"))
	}
}

// item does the same for an item of a list. It returns the name of the item,
// as the client sees it, and the member's own.
func (m Mapper) item(e *jsonrpc.Edits, kind spec.List, item jsonrpc.Value) (name, own string) {
	at := item.Get(kind.Key)
	own = at.String()
	if kind.ID {
		m.id(e, TaskID, at)
		return own, own
	}
	if kind.URI {
		name = m.uri(own)
	} else {
		name = m.name(own)
	}
	if name != own {
		e.ReplaceString(at, name)
	}
	if !m.transparent {
		m.meta(e, item)
	}
	return name, own
}

// content rewrites one content block, or a list of them. What stands in text
// and in structuredContent the server says to the model, and it stays as it is.
func (m Mapper) content(e *jsonrpc.Edits, v jsonrpc.Value) {
	for block := range blocks(v) {
		m.block(e, block)
	}
}

// blocks yields the content blocks of a list of them, or v where it is one.
func blocks(v jsonrpc.Value) iter.Seq[jsonrpc.Value] {
	return func(yield func(jsonrpc.Value) bool) {
		if v.Kind() != jsonrpc.Array {
			yield(v)
			return
		}
		v.Each(func(_ string, block jsonrpc.Value) bool { return yield(block) })
	}
}

func (m Mapper) block(e *jsonrpc.Edits, block jsonrpc.Value) {
	switch block.Get("type").String() {
	case "resource_link":
		m.at(e, block.Get("uri"))
	case "resource":
		m.at(e, block.Get("resource", "uri"))
		m.meta(e, block.Get("resource"))
	case "tool_result":
		for _, inner := range block.Get("content").Each {
			m.block(e, inner) // sampling with tools nests once, no deeper
		}
	}
}

// meta rewrites the two places where MCP Apps name a resource.
func (m Mapper) meta(e *jsonrpc.Edits, v jsonrpc.Value) {
	meta := v.Get("_meta")
	m.at(e, meta.Get("ui", "resourceUri"))
	m.at(e, meta.Get("ui/resourceUri"))
	m.id(e, TaskID, meta.Get(jsonrpc.MetaRelatedTask, "taskId"))
}

// at rewrites a URI.
func (m Mapper) at(e *jsonrpc.Edits, v jsonrpc.Value) {
	if v.Kind() == jsonrpc.String {
		e.ReplaceString(v, m.uri(v.String()))
	}
}

// Request notes what must change in a request of the member's server to the
// client of a federation: the user must see which server asks, and a server must
// not see what other servers said.
func (m Mapper) Request(e *jsonrpc.Edits, method string, params jsonrpc.Value) {
	if m.transparent {
		return
	}
	switch method {
	case spec.ElicitationCreate:
		m.head(e, params.Get("message"))
		m.id(e, ElicitationID, params.Get("elicitationId"))
	case spec.SamplingCreateMessage:
		m.sampling(e, params)
	}
	m.meta(e, params)
}

func (m Mapper) sampling(e *jsonrpc.Edits, params jsonrpc.Value) {
	if c := params.Get("includeContext"); c.Exists() && c.String() != "none" {
		e.ReplaceString(c, "none")
	}
	headed := false
	for _, message := range params.Get("messages").Each {
		content := message.Get("content")
		if !headed {
			headed = m.headText(e, content)
		}
		m.content(e, content)
	}
	if headed {
		return
	}
	if system := params.Get("systemPrompt"); system.Kind() == jsonrpc.String {
		m.head(e, system)
		return
	}
	e.Set(params, "systemPrompt", jsonrpc.AppendString(nil, "["+m.cluster+"]"))
}

// headText heads the first text of a message, which every client shows.
func (m Mapper) headText(e *jsonrpc.Edits, content jsonrpc.Value) bool {
	for block := range blocks(content) {
		if block.Get("type").String() == "text" {
			m.head(e, block.Get("text"))
			return true
		}
	}
	return false
}

func (m Mapper) head(e *jsonrpc.Edits, text jsonrpc.Value) {
	if text.Kind() == jsonrpc.String {
		e.ReplaceString(text, "["+m.cluster+"] "+text.String())
	}
}

// Notification notes what must change in a notification of the member.
func (m Mapper) Notification(e *jsonrpc.Edits, method string, params jsonrpc.Value) {
	if m.transparent {
		return
	}
	switch method {
	case spec.NotificationResourceUpdated:
		m.at(e, params.Get("uri"))
	case spec.NotificationTaskStatus, spec.NotificationTask:
		m.task(e, params)
	case spec.NotificationElicitationComplete:
		m.id(e, ElicitationID, params.Get("elicitationId"))
	}
	m.meta(e, params)
}
