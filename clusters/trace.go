package clusters

import (
	"net/netip"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters/process"
)

// Trace is told what happens, for logs and metrics. Any func may be nil. The funcs
// are called synchronously, some of them on the path of a request, and
// concurrently: they must be quick and not block.
type Trace struct {
	// Health is called when the verdict about an endpoint changes, not for each
	// check; err is the last failure when it became unhealthy.
	Health func(cluster, endpoint string, healthy bool, err error)
	// Connected is called for every connection attempt; d covers TCP and TLS,
	// or QUIC.
	Connected func(cluster, endpoint string, d time.Duration, err error)
	// Request is called once for every try on an endpoint, when its response
	// header is there (err nil) or it failed (status 0).
	Request func(cluster, endpoint string, status int, d time.Duration, err error)
	// Retry is called before a request is tried again; endpoint is the one that
	// failed, reason "connect_failure", "reset", "timeout" or a status code.
	Retry func(cluster, endpoint, reason string)
	// Process is told of a command's processes.
	Process process.Trace
	// Resolved is called when the addresses of a name changed, or with the error
	// of a look-up that failed.
	Resolved func(cluster, host string, addrs []netip.Addr, err error)
}
