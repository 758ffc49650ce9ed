package clusters

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Prober makes the probes of kind mcp.
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

// newProbe returns the probe that the cluster's health check asks for.
func (c *Cluster) newProbe(e *Endpoint) Probe {
	e = e.forChecks()
	switch c.health.Kind {
	case "http":
		return httpProbe{e, c.health.Path}
	case "tcp":
		return tcpProbe{e}
	}
	return c.opts.Prober.NewProbe(c, e)
}

// httpProbe wants an answer of 2xx or 3xx to a GET.
type httpProbe struct {
	endpoint *Endpoint
	path     string
}

// maxProbeBody bounds how much of an answer is read so that its connection can
// be used again.
const maxProbeBody = 64 << 10

func (p httpProbe) Check(ctx context.Context) error {
	u, err := url.ParseRequestURI(p.path)
	if err != nil {
		return err
	}
	req := (&http.Request{Method: http.MethodGet, URL: u, Header: http.Header{"User-Agent": {"mcpgateway-health-check"}}}).WithContext(ctx)
	res, err := p.endpoint.RoundTrip(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, maxProbeBody)
	switch {
	case res.StatusCode >= 200 && res.StatusCode < 400:
		return nil
	case res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden:
		return fmt.Errorf("%w: GET %s answered %s", ErrUnauthorized, p.path, res.Status)
	}
	return fmt.Errorf("GET %s answered %s", p.path, res.Status)
}

func (httpProbe) Close(context.Context) {}

// tcpProbe wants a connection, TLS included.
type tcpProbe struct{ endpoint *Endpoint }

func (p tcpProbe) Check(ctx context.Context) error {
	if err := p.endpoint.unresolved; err != nil {
		return err
	}
	c, err := p.endpoint.pool.Dial(ctx)
	if err != nil {
		return err
	}
	return c.Close()
}

func (tcpProbe) Close(context.Context) {}
