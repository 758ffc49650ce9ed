package spiffe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
)

// Sources are the Workload APIs that the process listens to, over all
// generations of its configuration.
type Sources struct {
	changed func()
	trace   *Trace
	wake    chan struct{} // holds one: changed is due
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	watches  map[string]*watch // by address
	notifies bool              // the goroutine that calls changed runs
	closed   bool
}

// NewSources listens to nothing yet, and starts no goroutine. It calls changed
// after a socket delivered material that differs from what Get last returned
// for it, also if that was an error; never twice at once, and once for several
// deliveries that come together. changed may call everything but Close.
func NewSources(changed func(), trace *Trace) *Sources {
	s := &Sources{changed: changed, trace: trace, wake: make(chan struct{}, 1), watches: make(map[string]*watch)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Get returns what the Workload API at socket has last delivered; what was of no
// use, being out of date, does not count. The first call for a socket starts a
// watch and waits for the first delivery until ctx ends; the watch goes on after
// that. An agent that is lost later is looked for again, and meanwhile its last
// material counts.
func (s *Sources) Get(ctx context.Context, socket string) (*Material, error) {
	addr, err := address(socket)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w, err := s.watch(addr)
	if err != nil {
		return nil, err
	}
	if w.current == nil {
		w.waiting++
		s.mu.Unlock()
		select {
		case <-w.moved:
		case <-ctx.Done():
		}
		s.mu.Lock()
		w.waiting--
	}
	if w.current == nil {
		return nil, w.missing(socket, ctx)
	}
	w.returned = w.current
	return w.current, nil
}

// watch returns the running watch of a socket. One that the Workload API has
// ended is begun anew, since the operator may have put things right.
func (s *Sources) watch(addr string) (*watch, error) {
	if s.closed {
		return nil, fmt.Errorf("spiffe: %s: the sources are closed", addr)
	}
	old := s.watches[addr]
	if old != nil && !old.over {
		return old, nil
	}
	moved := make(chan struct{})
	w := &watch{sources: s, socket: addr, moved: moved, move: sync.OnceFunc(func() { close(moved) })}
	if old != nil {
		w.current, w.returned, w.told, w.failure = old.current, old.returned, old.told, old.failure
	}
	var ctx context.Context
	ctx, w.cancel = context.WithCancel(s.ctx)
	s.watches[addr] = w
	s.running.Go(func() { w.run(ctx) })
	if !s.notifies {
		s.notifies = true
		s.running.Go(s.notify)
	}
	return w, nil
}

// missing says why there is no material, and what to do.
func (w *watch) missing(socket string, ctx context.Context) error {
	reason := w.failure
	switch {
	case reason != nil:
	case w.over && ctx.Err() == nil:
		reason = errors.New("the watch was ended meanwhile, by another configuration or by the end of the process")
	default:
		reason = errors.New("the Workload API has not answered yet")
	}
	err := fmt.Errorf("spiffe: %s delivered no identity: %w; see that the agent runs, that this process (uid %d, pid %d) may use the socket, and that there is a registration entry for it",
		socket, reason, os.Getuid(), os.Getpid())
	if ctx.Err() != nil {
		err = fmt.Errorf("%w (%w)", err, context.Cause(ctx))
	}
	return err
}

// notify calls changed from a goroutine of its own, so that no watch waits for
// what the owner does then, and he may wait for a watch.
func (s *Sources) notify() {
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.wake:
			if s.news() {
				s.changed()
			}
		}
	}
}

// news reports whether changed is to be called, for all watches at once.
func (s *Sources) news() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	news := false
	for _, w := range s.watches {
		news = w.news() || news
	}
	return news
}

// Keep ends the watches of all sockets but these. The owner calls it when he
// has committed to a configuration that needs no others, or has given up one
// that needs more. It does not wait.
func (s *Sources) Keep(sockets []string) {
	keep := make(map[string]bool, len(sockets))
	for _, socket := range sockets {
		if addr, err := address(socket); err == nil {
			keep[addr] = true
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for addr, w := range s.watches {
		if !keep[addr] {
			w.cancel()
			delete(s.watches, addr)
		}
	}
}

// Close ends everything and waits for it, also for a call of changed.
func (s *Sources) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.running.Wait()
}
