package clusters

// Status is what an operator sees of an endpoint.
type Status struct {
	ID      string
	Address string
	Health  Health
	// LastError is why the last check failed, or why the name has no address; nil
	// after a check that succeeded.
	LastError error
	// Protocol is what SetProtocol was last called with.
	Protocol string
	Active   int    // requests in flight
	Requests uint64 // tries
	// Processes of a command that run, and MaxProcesses that may; Waiting are
	// sessions that wait for one.
	Processes    int
	MaxProcesses int
	Waiting      int
	// Earlier says that Health is what the checks of the set in force have found
	// out. A prepared set that has the endpoint too has not checked it.
	Earlier bool
}

// Ill returns the endpoints of a prepared set's cluster that would take no
// traffic yet if the set were committed now.
func (c *Cluster) Ill() []Status {
	var ill []Status
	for _, e := range c.Endpoints() {
		if e.unresolved == nil && c.health == nil {
			continue // whatever the checks say that are in force still
		}
		if st := e.Status(); !st.Health.Good() {
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
func (e *Endpoint) Status() Status {
	s := e.state
	st := Status{
		ID:       e.id,
		Address:  e.Address(),
		Active:   e.Active(),
		Requests: s.requests.Load(),
		Earlier:  s.shared.Load(),
	}
	st.Health, st.LastError = s.report()
	if e.unresolved != nil {
		st.Health, st.LastError = Unresolved, e.unresolved
	}
	if e.command != nil {
		st.Processes, st.MaxProcesses, st.Waiting = e.command.Count()
	}
	if p := s.protocol.Load(); p != nil {
		st.Protocol = *p
	}
	return st
}
