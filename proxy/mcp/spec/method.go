package spec

// The methods of requests of clients.
const (
	Initialize            = "initialize"
	Ping                  = "ping"
	ServerDiscover        = "server/discover"
	ToolsList             = "tools/list"
	ToolsCall             = "tools/call"
	PromptsList           = "prompts/list"
	PromptsGet            = "prompts/get"
	ResourcesList         = "resources/list"
	ResourceTemplatesList = "resources/templates/list"
	ResourcesRead         = "resources/read"
	ResourcesSubscribe    = "resources/subscribe"
	ResourcesUnsubscribe  = "resources/unsubscribe"
	CompletionComplete    = "completion/complete"
	LoggingSetLevel       = "logging/setLevel"
	SubscriptionsListen   = "subscriptions/listen"
	TasksList             = "tasks/list"
	TasksGet              = "tasks/get"
	TasksResult           = "tasks/result"
	TasksCancel           = "tasks/cancel"
	TasksUpdate           = "tasks/update"
)

// The methods of requests of servers. Either side may send a Ping.
const (
	SamplingCreateMessage = "sampling/createMessage"
	ElicitationCreate     = "elicitation/create"
	RootsList             = "roots/list"
)

// The methods of notifications.
const (
	NotificationInitialized          = "notifications/initialized"
	NotificationCancelled            = "notifications/cancelled"
	NotificationProgress             = "notifications/progress"
	NotificationMessage              = "notifications/message"
	NotificationToolsChanged         = "notifications/tools/list_changed"
	NotificationPromptsChanged       = "notifications/prompts/list_changed"
	NotificationResourcesChanged     = "notifications/resources/list_changed"
	NotificationResourceUpdated      = "notifications/resources/updated"
	NotificationRootsChanged         = "notifications/roots/list_changed"
	NotificationTaskStatus           = "notifications/tasks/status"
	NotificationElicitationComplete  = "notifications/elicitation/complete"
	NotificationSubscriptionAccepted = "notifications/subscriptions/acknowledged"
	// NotificationTask is NotificationTaskStatus of revisions without sessions.
	NotificationTask = "notifications/tasks"
)

// Method is what the specification says of a request. The zero Method is that of
// a request which the specification does not know.
type Method struct {
	// Name is the name of the method.
	Name string
	// Stateless reports whether a revision without sessions has the request, and
	// Sessions whether one with sessions has it.
	Stateless, Sessions bool
	// Names is the member of params that names what the request is about, and that
	// HeaderName repeats: "name", "uri" or "taskId"; empty: there is none.
	Names string
	// Of is the list that has what the request is about, and decides whose it is
	// where several servers have such a list; empty: another rule decides.
	Of string
	// NameRequired reports whether HeaderName must be there (MCP 2026-07-28,
	// Streamable HTTP).
	NameRequired bool
	// NeedsSession reports whether the request changes the session that it belongs
	// to, so that it means nothing outside of one.
	NeedsSession bool
	// Idempotent reports whether a request that may have been acted on may be sent
	// again.
	Idempotent bool
	// Cacheable reports whether its complete results say how long they may be kept
	// (MCP 2026-07-28, Caching).
	Cacheable bool
	// MayRequireInput reports whether it may be answered with a request for input
	// (MCP 2026-07-28, Multi Round-Trip Requests), and whether, with sessions, a
	// server may ask the client something while it works on it.
	MayRequireInput bool
	// List is not nil where the request lists something.
	List *List
}

// OnlyWithSession reports whether a revision without sessions lacks what one with
// sessions has.
func (m Method) OnlyWithSession() bool { return m.Sessions && !m.Stateless }

// List is what a request lists.
type List struct {
	// Method is the name of the request.
	Method string
	// Member holds the items in the result, and Key their name in an item.
	Member, Key string
	// URI reports whether names are URIs or templates of URIs, and ID whether they
	// are ids, which concern their owners alone.
	URI, ID bool
	// Capability is what a server declares that has such a list.
	Capability string
	// Label is what people call an item.
	Label string
}
