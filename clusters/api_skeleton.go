package clusters

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

type Options struct {
	// Prober makes the probes of kind mcp; without one such checks are off.
	Prober Prober
	Trace  *Trace
	// Resolver looks names up; nil is the system's.
	Resolver Resolver
	// Environ is what children inherit PATH, HOME, LANG and TMPDIR from; nil is
	// the process's own environment.
	Environ []string
}

// Resolver is what clusters need of net.Resolver.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Prober makes the health probes of kind mcp.
type Prober interface {
	// NewProbe returns a probe for one endpoint. Its requests go through
	// e.RoundTrip or e.Start.
	NewProbe(c *Cluster, e *Endpoint) Probe
}

// Probe checks one endpoint, again and again. Check and Close are never called
// concurrently.
type Probe interface {
	// Check returns nil when the endpoint is well. It may keep a session from
	// one call to the next.
	Check(ctx context.Context) error
	// Close gives up what Check kept.
	Close(ctx context.Context)
}

type Set struct{}

func NewSet(cfgs []Config, previous *Set, opts Options) (*Set, error) { panic("skeleton") }
func (s *Set) Get(name string) (*Cluster, bool)                       { panic("skeleton") }
func (s *Set) All() []*Cluster                                        { panic("skeleton") }
func (s *Set) Warm(ctx context.Context)                               { panic("skeleton") }
func (s *Set) Commit()                                                { panic("skeleton") }
func (s *Set) Release()                                               { panic("skeleton") }

// Wait blocks until the background work that ended with this set's Release is
// done, or ctx is.
func (s *Set) Wait(ctx context.Context) error { panic("skeleton") }

type Cluster struct{}

func (c *Cluster) Name() string                                        { panic("skeleton") }
func (c *Cluster) Config() *Config                                     { panic("skeleton") }
func (c *Cluster) Endpoints() []*Endpoint                              { panic("skeleton") }
func (c *Cluster) Endpoint(id string) (*Endpoint, bool)                { panic("skeleton") }
func (c *Cluster) Path() string                                        { panic("skeleton") }
func (c *Cluster) IsCommand() bool                                     { panic("skeleton") }
func (c *Cluster) Status() Status                                      { panic("skeleton") }
func (c *Cluster) Pick(exclude ...*Endpoint) (*Endpoint, error)        { panic("skeleton") }
func (c *Cluster) RoundTrip(req *http.Request) (*http.Response, error) { panic("skeleton") }

type Endpoint struct{}

func (e *Endpoint) ID() string                                          { panic("skeleton") }
func (e *Endpoint) URL() *url.URL                                       { panic("skeleton") }
func (e *Endpoint) Address() string                                     { panic("skeleton") }
func (e *Endpoint) Healthy() bool                                       { panic("skeleton") }
func (e *Endpoint) Active() int                                         { panic("skeleton") }
func (e *Endpoint) Status() EndpointStatus                              { panic("skeleton") }
func (e *Endpoint) RoundTrip(req *http.Request) (*http.Response, error) { panic("skeleton") }
func (e *Endpoint) Hold() (release func())                              { panic("skeleton") }
func (e *Endpoint) Retired() <-chan struct{}                            { panic("skeleton") }
func (e *Endpoint) Start(ctx context.Context) (*Process, error)         { panic("skeleton") }

type Process struct {
	Stdin  io.WriteCloser
	Stdout io.Reader
}

func (p *Process) Done() <-chan struct{}    { panic("skeleton") }
func (p *Process) Err() error               { panic("skeleton") }
func (p *Process) Stop(ctx context.Context) { panic("skeleton") }

// Status is what an operator sees of a cluster.
type Status struct {
	Name      string           `json:"name"`
	Healthy   bool             `json:"healthy"`
	Endpoints []EndpointStatus `json:"endpoints"`
}

// EndpointStatus is what an operator sees of an endpoint.
type EndpointStatus struct {
	ID        string    `json:"id"`
	Address   string    `json:"address,omitempty"`
	Health    string    `json:"health"`
	Healthy   bool      `json:"healthy"`
	LastError string    `json:"last_error,omitempty"`
	LastCheck time.Time `json:"last_check,omitzero"`
	Since     time.Time `json:"since,omitzero"`
	Active    int       `json:"active"`
	Requests  uint64    `json:"requests"`
	Failures  uint64    `json:"failures"`
	Processes int       `json:"processes,omitempty"`
	// NotAfter is the end of the client certificate; zero when there is none.
	NotAfter time.Time `json:"not_after,omitzero"`
}

// RetryPolicy says when Cluster.RoundTrip tries a request again.
type RetryPolicy struct {
	// Attempts is the number of tries in all; 0 and 1 mean no retry.
	Attempts int
	// On lists "connect_failure", "reset", and status codes such as "503".
	On []string
	// PerTryTimeout bounds each try up to its response header; 0 is no bound.
	PerTryTimeout time.Duration
}

// WithRetry returns a context whose requests Cluster.RoundTrip retries.
func WithRetry(ctx context.Context, p RetryPolicy) context.Context { panic("skeleton") }

// OnPick returns a context whose requests report each endpoint that
// Cluster.RoundTrip tries, before it does; the last one reported has answered.
func OnPick(ctx context.Context, f func(*Endpoint)) context.Context { panic("skeleton") }
