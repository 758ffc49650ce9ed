package clusters

// Health is what active checks have found out about an endpoint.
type Health int32

const (
	// Warming: there is no verdict yet. It takes traffic where no other does.
	Warming Health = iota
	// Healthy: it takes traffic.
	Healthy
	// Unhealthy: it takes none.
	Unhealthy
	// Unauthorized is Unhealthy where the last check was answered 401 or 403.
	Unauthorized
	// Unresolved: its name has no address. It takes no traffic.
	Unresolved
	// Unchecked: there are no active checks. It takes traffic.
	Unchecked
)

// String is the word for operators.
func (h Health) String() string {
	return [...]string{
		Warming: "warming", Healthy: "healthy", Unhealthy: "unhealthy",
		Unauthorized: "unauthorized", Unresolved: "unresolved", Unchecked: "unchecked",
	}[h]
}

// Good reports whether an endpoint takes traffic gladly. A warming one does not
// yet.
func (h Health) Good() bool { return h == Healthy || h == Unchecked }

// Bad reports whether an endpoint is known to take no traffic.
func (h Health) Bad() bool { return !h.Good() && h != Warming }
