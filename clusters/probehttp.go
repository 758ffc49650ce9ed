package clusters

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// httpProber wants an answer of 2xx or 3xx to a GET.
type httpProber struct{}

func (httpProber) NewProbe(c *Cluster, e *Endpoint) Probe { return httpProbe{e, c.health.Path} }

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
