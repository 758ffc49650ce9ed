package session

import (
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
)

// Timeouts bound what a session waits for.
type Timeouts struct {
	List          time.Duration `yaml:"list" default:"10s" min:"1ms" doc:"Per upstream: initialize, and each list."`
	CallIdle      time.Duration `yaml:"call_idle" default:"5m" min:"1ms" doc:"A call without answer or progress for this long is given up."`
	CallMax       time.Duration `yaml:"call_max" default:"1h" min:"1ms" doc:"A call is given up after this, whatever its progress."`
	ServerRequest time.Duration `yaml:"server_request" default:"5m" min:"1ms" doc:"How long a server waits for the client's answer."`
	SessionIdle   time.Duration `yaml:"session_idle" default:"30m" min:"1ms" doc:"A session without request or stream for this long ends."`
}

// Limits bound what a route holds.
type Limits struct {
	Message              config.Size `yaml:"message" default:"4MiB" min:"1KiB" max:"1GiB" doc:"The longest message, in either direction, but for results."`
	Result               config.Size `yaml:"result" default:"16MiB" min:"1KiB" max:"1GiB" doc:"The longest answer of a server. A longer one is passed over, and the client is told; nothing else is disturbed."`
	Sessions             int         `yaml:"sessions" default:"10000" min:"1" doc:"Sessions of the route. One more ends the one idle longest of the same principal, or an anonymous one."`
	SessionsPerPrincipal int         `yaml:"sessions_per_principal" default:"100" min:"1" doc:"Sessions of one principal; one more ends the one idle longest. Anonymous clients are counted by the first limit only."`
	Pending              int         `yaml:"pending" default:"64" min:"1" doc:"Requests of a session that are in flight, in each direction. More of the client's wait, 16 for each, and no more than limits.message in bytes."`
	Streams              int         `yaml:"streams" default:"16" min:"1" doc:"SSE streams of a session."`
}

// Resume bounds what a session keeps of what its streams have carried. Beyond
// any of the bounds the oldest events go first.
type Resume struct {
	Events int           `yaml:"events" default:"1000" min:"0" max:"100000" doc:"Events. 0: streams cannot be resumed."`
	Bytes  config.Size   `yaml:"bytes" default:"4MiB" min:"1KiB" max:"1GiB" doc:"Their bytes in all."`
	Age    time.Duration `yaml:"age" default:"5m" min:"1ms" doc:"How long each is kept."`
}

func (r Resume) limits() eventstream.Limits {
	return eventstream.Limits{Events: r.Events, Bytes: int64(r.Bytes), Age: r.Age}
}
