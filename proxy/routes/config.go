package routes

import (
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp"
)

// Config is one entry of routes.
type Config struct {
	Name      string             `yaml:"name" pattern:"^\\S{1,128}$" example:"tools" doc:"Default: the route's path."`
	Listeners []string           `yaml:"listeners" example:"[public]" doc:"Default: the only listener. [all] is every listener."`
	Match     Match              `yaml:"match" required:"true" doc:"Which requests the route serves; the first match wins, in file order."`
	Auth      *filter.AuthConfig `yaml:"auth" doc:"Who may use the route; other clients get 401. Absent: every client may."`

	// Exactly one action; each has a line in actions (action.go).
	MCP      *mcp.Config `yaml:"mcp" doc:"Federate MCP servers."`
	Cluster  string      `yaml:"cluster" example:"api" doc:"Proxy HTTP, WebSocket, SSE and gRPC to this cluster."`
	Health   string      `yaml:"health" enum:"live,ready" doc:"live: 200 while the process serves. ready: 200 once warmed, 503 while shutting down."`
	Redirect *Redirect   `yaml:"redirect" doc:"Send the client elsewhere."`
	Respond  *Respond    `yaml:"respond" doc:"Answer with a fixed text."`

	Timeout           time.Duration `yaml:"timeout" default:"15s" min:"0s" doc:"Of a cluster route: from the whole request read to the response header. 0: off."`
	StreamIdleTimeout time.Duration `yaml:"stream_idle_timeout" default:"5m" min:"0s" doc:"Of a cluster route: no byte either way for this long ends the request. 0: off."`
	Retry             Retry         `yaml:"retry" doc:"Of a cluster route: what is tried again, for idempotent methods."`
	Rewrite           Rewrite       `yaml:"rewrite" doc:"Of a cluster route: what the upstream sees instead."`
	Path              PathRules     `yaml:"path" doc:"How the route treats paths that two programs may read in different ways."`
	HeaderUnderscores string        `yaml:"header_underscores" default:"auto" enum:"auto,refuse,pass" doc:"Field names with an underscore, which CGI takes for those with a dash. auto: they pass from HTTP/2 and 3 to a cluster whose protocols force h2 or h3, as gRPC metadata needs it; elsewhere they are answered with 400."`
	RequestHeaders    HeaderEdits   `yaml:"request_headers" doc:"Of a cluster route: edits of what goes upstream."`
	ResponseHeaders   HeaderEdits   `yaml:"response_headers" doc:"Edits of every answer of the route."`
}

// Match says which requests a route serves. All that is given must hold.
type Match struct {
	Hosts      []string      `yaml:"hosts" example:"[mcp.example.com, \"*.example.com\"]" doc:"Host names without port; *.example.com is every name below example.com. Empty: any."`
	Path       string        `yaml:"path" example:"/mcp" doc:"The whole path."`
	PathPrefix string        `yaml:"path_prefix" example:"/api" doc:"The first whole segments of the path."`
	Methods    []string      `yaml:"methods" example:"[GET, POST]" doc:"Empty: any."`
	Headers    []HeaderMatch `yaml:"headers" doc:"Each must hold."`
}

// HeaderMatch looks at one header field. Of a field that occurs several times,
// one value must match.
type HeaderMatch struct {
	Name    string `yaml:"name" required:"true" example:"X-Env" doc:"Case does not matter."`
	Exact   string `yaml:"exact" example:"prod" doc:"The whole value."`
	Prefix  string `yaml:"prefix" doc:"How the value begins."`
	Regex   string `yaml:"regex" doc:"An RE2 expression that matches the whole value."`
	Present bool   `yaml:"present" doc:"true: the field must be there; false: it must not."`
}

// Redirect is the action redirect. What is empty stays as the client sent it.
type Redirect struct {
	Scheme string `yaml:"scheme" enum:"http,https" doc:"Default: the request's; with a new scheme the port goes."`
	Host   string `yaml:"host" example:"www.example.com" doc:"Host, with port where it is not the scheme's own. Default: the request's."`
	Path   string `yaml:"path" example:"/new" doc:"Default: the request's. The query is kept."`
	Status int    `yaml:"status" default:"308" doc:"301, 302, 303, 307 or 308."`
}

// Respond is the action respond.
type Respond struct {
	Status      int    `yaml:"status" default:"200" min:"200" max:"599" doc:"The status code."`
	Body        string `yaml:"body" default:"" doc:"The body."`
	ContentType string `yaml:"content_type" default:"text/plain" doc:"Its type."`
}

// Retry says when a cluster route tries again.
type Retry struct {
	Attempts      int           `yaml:"attempts" default:"1" min:"1" max:"10" doc:"Total tries; 1 never tries again."`
	RetryOn       []string      `yaml:"retry_on" default:"[connect_failure, reset, \"502\", \"503\", \"504\"]" doc:"connect_failure, reset, or status codes from 500 to 599."`
	PerTryTimeout time.Duration `yaml:"per_try_timeout" default:"0s" min:"0s" doc:"How long one try may take to its response header; 0: only timeout counts."`
}

// Rewrite says what the upstream sees instead of what the client sent.
type Rewrite struct {
	PathPrefix string `yaml:"path_prefix" example:"/v1" doc:"Replaces the matched path or path_prefix; / takes it away."`
	Host       string `yaml:"host" example:"api.internal" doc:"The Host that is sent. Default: the client's."`
}

// HeaderEdits change header fields: first remove, then set, then add.
type HeaderEdits struct {
	Set    map[string]string `yaml:"set" doc:"Replaces the field."`
	Add    map[string]string `yaml:"add" doc:"Adds a value to the field."`
	Remove []string          `yaml:"remove" doc:"Takes the field away."`
}
