package clusters

import (
	"context"
	"errors"
	"fmt"

	"github.com/mcpgateway/mcpgateway/clusters/process"
	"github.com/mcpgateway/mcpgateway/clusters/transport"
)

// Start starts a process of a command cluster for one owner of several, such as
// a session (see process.Command.Start). Where max_processes of them run it
// waits, up to queue_timeout, and a process at rest is stopped for it. The error
// wraps process.ErrOverflow when that has not helped; it is a *transport.ConnectError when
// the process cannot be started, or may not be yet because the last one failed.
// ctx bounds the start only: the caller must Stop the process, or see it end.
func (e *Endpoint) Start(ctx context.Context, owner process.Owner) (*process.Process, error) {
	if e.command == nil {
		return nil, fmt.Errorf("cluster %s has no command", e.cluster)
	}
	if !e.acquire() {
		return nil, connectError(e, transport.ErrRetired)
	}
	p, err := e.command.Start(ctx, owner, e.release)
	if err == nil {
		return p, nil
	}
	e.release()
	if errors.Is(err, process.ErrOverflow) {
		return nil, err
	}
	return nil, connectError(e, err)
}

// Await waits, as Start does, until owner may use a process of the command that
// runs already. owner may be nil.
func (e *Endpoint) Await(ctx context.Context, owner *process.Backoff) error {
	if owner == nil {
		return nil
	}
	if err := owner.Await(ctx); err != nil { // the command's own backoff delays starts only
		return connectError(e, err)
	}
	return nil
}
