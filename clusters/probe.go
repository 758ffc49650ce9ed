package clusters

import "context"

// Prober makes the probes of one kind of health check.
type Prober interface {
	// NewProbe returns a probe of one endpoint. All that it sends goes through
	// e.RoundTrip or e.Start: e has no connection in common with the traffic. It
	// does not talk to the endpoint yet.
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

// connectionProber makes the probes of a kind that needs connections, such as a
// command does not have; nil where the kind is none of those.
func connectionProber(kind string) Prober {
	switch kind {
	case "http":
		return httpProber{}
	case "tcp":
		return tcpProber{}
	}
	return nil
}

// prober makes the probes of a kind; nil where the kind is not known.
func (o *Options) prober(kind string) Prober {
	if p := connectionProber(kind); p != nil {
		return p
	}
	return o.Probers[kind]
}
