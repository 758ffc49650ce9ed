package clusters

import "time"

// Status is what an operator sees of a cluster.
type Status struct {
	Name string `json:"name"`
	// Healthy says whether at least one endpoint is.
	Healthy   bool             `json:"healthy"`
	Endpoints []EndpointStatus `json:"endpoints"`
	// NotAfter is the end of the client certificate; zero when there is none.
	NotAfter time.Time `json:"not_after,omitzero"`
}

// EndpointStatus is what an operator sees of an endpoint.
type EndpointStatus struct {
	ID      string `json:"id"`
	Address string `json:"address,omitempty"`
	// Health is "healthy", "unhealthy", "warming", "unauthorized",
	// "unresolved", or "unchecked" where there are no health checks.
	Health    string `json:"health"`
	Healthy   bool   `json:"healthy"`
	LastError string `json:"last_error,omitempty"`
	// Protocol is what SetProtocol was last called with.
	Protocol  string    `json:"protocol,omitempty"`
	LastCheck time.Time `json:"last_check,omitzero"`
	Since     time.Time `json:"since,omitzero"`
	Active    int       `json:"active"`
	Requests  uint64    `json:"requests"`
	Failures  uint64    `json:"failures"`
	// Processes of a command that run, and MaxProcesses that may; Waiting are
	// sessions that wait for one.
	Processes    int `json:"processes,omitempty"`
	MaxProcesses int `json:"max_processes,omitempty"`
	Waiting      int `json:"waiting,omitempty"`
	// Earlier says that Health is what the checks of the set in force have found
	// out. A prepared set that has the endpoint too has not checked it.
	Earlier bool `json:"-"`
}

// Status is the cluster as it is now.
func (c *Cluster) Status() Status {
	st := Status{Name: c.cfg.Name, Endpoints: []EndpointStatus{}}
	if c.connector != nil {
		st.NotAfter = c.connector.NotAfter()
	}
	for _, e := range c.Endpoints() {
		es := e.Status()
		st.Healthy = st.Healthy || es.Healthy
		st.Endpoints = append(st.Endpoints, es)
	}
	return st
}

// Ill returns the endpoints of a prepared set's cluster that would take no
// traffic yet if the set were committed now.
func (c *Cluster) Ill() []EndpointStatus {
	var ill []EndpointStatus
	for _, e := range c.Endpoints() {
		if e.unresolved == nil && c.health == nil {
			continue // whatever the checks say that are in force still
		}
		if st := e.Status(); !st.Healthy {
			ill = append(ill, st)
		}
	}
	return ill
}

// SetProtocol says, for operators, which revision of MCP the endpoint was found
// to speak and how that was found out.
func (e *Endpoint) SetProtocol(text string) {
	if p := e.state.protocol.Load(); p == nil || *p != text {
		e.state.protocol.Store(&text)
	}
}

// Status is the endpoint as it is now.
func (e *Endpoint) Status() EndpointStatus {
	s := e.state
	st := EndpointStatus{
		ID:       e.id,
		Address:  e.Address(),
		Health:   s.text(),
		Healthy:  e.Healthy(),
		Active:   e.Active(),
		Requests: s.requests.Load(),
		Failures: s.failures.Load(),
		Earlier:  s.shared.Load(),
	}
	if e.command != nil {
		st.Processes, st.MaxProcesses, st.Waiting = e.command.Count()
	}
	if p := s.protocol.Load(); p != nil {
		st.Protocol = *p
	}
	s.mu.Lock()
	st.LastCheck, st.Since = s.lastCheck, s.since
	if s.lastErr != nil {
		st.LastError = s.lastErr.Error()
	}
	s.mu.Unlock()
	if e.unresolved != nil {
		st.Health, st.LastError = "unresolved", e.unresolved.Error()
	}
	return st
}
