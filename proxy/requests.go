package proxy

import (
	"context"
	"errors"

	"github.com/mcpgateway/mcpgateway/proxy/admin"
)

// reloadRequests are those of clients of the admin API that wait for the outcome of a
// reload.
type reloadRequests struct {
	waiting chan chan<- admin.Outcome
	// closed is closed when no reload begins any more.
	closed chan struct{}
}

func newReloadRequests() reloadRequests {
	return reloadRequests{waiting: make(chan chan<- admin.Outcome), closed: make(chan struct{})}
}

// ask waits for the outcome of a reload that began after the call.
func (r reloadRequests) ask(ctx context.Context) (admin.Outcome, error) {
	// Buffered: the reload goes on, and answers, when the caller has left.
	outcome := make(chan admin.Outcome, 1)
	select {
	case r.waiting <- outcome:
	case <-r.closed:
		return admin.Outcome{}, errors.New("the gateway is shutting down")
	case <-ctx.Done():
		return admin.Outcome{}, ctx.Err()
	}
	select {
	case o := <-outcome:
		return o, nil
	case <-ctx.Done():
		return admin.Outcome{}, ctx.Err()
	}
}

// answer serves first, and all that wait by now, with one reload: each of them asked
// before it begins.
func (r reloadRequests) answer(first chan<- admin.Outcome, reload func() admin.Outcome) {
	all := []chan<- admin.Outcome{first}
	for more := true; more; {
		select {
		case one := <-r.waiting:
			all = append(all, one)
		default:
			more = false
		}
	}
	outcome := reload()
	for _, one := range all {
		one <- outcome
	}
}
