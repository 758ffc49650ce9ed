package clusters

import (
	"cmp"
	"context"
	"fmt"
)

// Prober makes the probes of one kind of health check.
type Prober interface {
	// NewProbe returns a probe of one endpoint. All that it sends goes through
	// e.RoundTrip or e.Start, or over a connection of e.pool.Dial if it sends no
	// request: e has no connection in common with the traffic. It does not talk to
	// the endpoint yet.
	NewProbe(c *Cluster, e *Endpoint) Probe
}

// Probe checks one endpoint, again and again. Its methods are not called
// concurrently.
type Probe interface {
	// Check returns nil when the endpoint is well. It may keep a session from
	// one call to the next. An answer of 401 or 403 is ErrUnauthorized. While a
	// process is starting it returns ErrStarting, which is no verdict.
	Check(ctx context.Context) error
	// Close gives up what Check kept.
	Close(ctx context.Context)
}

// kind is a kind of health check. Each works for HTTP/1.1 and HTTP/2.
type kind struct {
	prober  Prober // nil: it knows a protocol above, and Options.Probers has it
	command bool   // it works for a command too, which has no connections
	http3   bool   // it works for HTTP/3 too, which has no TCP connection
}

// kinds are all kinds of health checks, by name.
var kinds = map[string]kind{
	"mcp":  {command: true, http3: true},
	"http": {prober: httpProber{}, http3: true},
	"tcp":  {prober: tcpProber{}},
}

// prober makes the probes of a kind.
func (o *Options) prober(name string) (Prober, error) {
	if p := cmp.Or(kinds[name].prober, o.Probers[name]); p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("health_check.kind %s: neither kinds in clusters/probe.go nor Options.Probers has a Prober for it", name)
}
