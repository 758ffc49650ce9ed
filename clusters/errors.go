package clusters

import "errors"

var (
	// ErrNoHealthyUpstream says that a cluster has no endpoint that may take a
	// request.
	ErrNoHealthyUpstream = errors.New("no healthy upstream")
	// ErrUnauthorized is what a Probe wraps when the upstream answered 401 or
	// 403; the endpoint then shows as "unauthorized".
	ErrUnauthorized = errors.New("unauthorized")
	// ErrStarting is what a Probe returns while the process that it wants to ask
	// is still starting.
	ErrStarting = errors.New("the process is starting")
)
