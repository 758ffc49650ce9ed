package clusters

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"

	"github.com/mcpgateway/mcpgateway/internal/descriptors"
	"github.com/mcpgateway/mcpgateway/proxy/config"
)

// Options are what all sets of a process share. They must be the same for every
// set of a sequence.
type Options struct {
	// Probers make the probes of the kinds of health checks that clusters does not
	// have itself, by kind.
	Probers map[string]Prober
	Trace   Trace
	// Reserve is what connections leave of the process's descriptors; nil is
	// nothing.
	Reserve *descriptors.Reserve
	// Resolver looks names up; nil is the system's.
	Resolver Resolver
	// Environ is what child processes get PATH, HOME, LANG and TMPDIR from; nil
	// is the process's own environment.
	Environ []string
}

// Set is the clusters of one generation. It does not change, but for the
// addresses behind its names.
type Set struct {
	clusters []*Cluster
	byName   map[string]*Cluster

	mu       sync.Mutex
	previous *Set // until Commit or Release
	released bool
}

// NewSet prepares the clusters of cfgs, which carry their defaults
// (config.Defaults) and are not modified afterwards, beside those of previous,
// the committed set, which may be nil. It waits a few seconds at most, for names
// that previous does not know; one that does not resolve is an endpoint without
// address, not an error. On an error nothing remains.
func NewSet(cfgs []Config, previous *Set, opts Options) (*Set, error) {
	if opts.Resolver == nil {
		opts.Resolver = net.DefaultResolver
	}
	s := &Set{byName: map[string]*Cluster{}, previous: previous}
	var fresh []*Cluster
	var compare config.Comparer
	for i := range cfgs {
		cfg := cfgs[i]
		if s.byName[cfg.Name] != nil {
			return nil, fmt.Errorf("cluster %s: the name stands twice", cfg.Name)
		}
		old := previous.find(cfg.Name)
		c := old
		if old == nil || !old.cfg.equal(&cfg, &compare) {
			var err error
			if c, err = newCluster(&cfg, old, opts); err != nil {
				return nil, fmt.Errorf("cluster %s: %w", cfg.Name, err)
			}
			fresh = append(fresh, c)
		}
		s.clusters = append(s.clusters, c)
		s.byName[cfg.Name] = c
	}
	// Nothing below fails, and nothing above holds on to anything.
	var wg sync.WaitGroup
	for _, c := range fresh {
		wg.Go(func() { c.names.discover(context.Background()) })
	}
	wg.Wait()
	for _, c := range fresh {
		var donors []*Endpoint
		if old := previous.find(c.cfg.Name); old != nil {
			donors = old.Endpoints()
		}
		list := c.build(c.names, donors)
		c.endpoints.Store(&list)
	}
	for _, c := range s.clusters {
		c.mu.Lock()
		c.sets++
		c.mu.Unlock()
	}
	return s, nil
}

func (s *Set) find(name string) *Cluster {
	if s == nil {
		return nil
	}
	return s.byName[name]
}

// Get returns the cluster of this name.
func (s *Set) Get(name string) (*Cluster, bool) {
	c := s.find(name)
	return c, c != nil
}

// All lists the clusters in the order of the configuration. The slice must not
// be modified.
func (s *Set) All() []*Cluster { return s.clusters }

// Warm checks the new endpoints of a prepared set until each has its first
// verdict, good or bad, or ctx ends.
func (s *Set) Warm(ctx context.Context) {
	var wg sync.WaitGroup
	for _, c := range s.clusters {
		c.checks.warm(ctx, &wg)
	}
	wg.Wait()
}

// Warming names the clusters that Warm waits for.
func (s *Set) Warming() []string {
	var names []string
	for _, c := range s.clusters {
		if slices.ContainsFunc(c.Endpoints(), c.checks.awaited) {
			names = append(names, c.cfg.Name)
		}
	}
	return names
}

// Commit puts the set in force: its checks and look-ups run, its settings
// apply, and the previous set's checks stop. It does not wait for anything.
func (s *Set) Commit() {
	s.mu.Lock()
	previous := s.previous
	s.previous = nil
	s.mu.Unlock()
	var replaced []*Cluster
	if previous != nil {
		replaced = slices.DeleteFunc(slices.Clone(previous.clusters), func(old *Cluster) bool { return s.byName[old.cfg.Name] == old })
	}
	for _, old := range replaced {
		old.stop()
	}
	for _, c := range s.clusters {
		if old := previous.find(c.cfg.Name); old != c {
			c.commit(old)
		}
	}
	for _, old := range replaced {
		for _, e := range old.Endpoints() {
			old.disown(e)
		}
	}
}

// Release drops the set, committed or not. Endpoints that nothing else refers
// to close at once what is idle, and the rest when it has finished.
func (s *Set) Release() {
	s.mu.Lock()
	done := s.released
	s.released, s.previous = true, nil
	s.mu.Unlock()
	if done {
		return
	}
	for _, c := range s.clusters {
		c.release()
	}
}

// Wait blocks until the background work of the clusters that ended with this
// set's Release, such as giving up the sessions of health checks, is done. The
// error is ctx's.
func (s *Set) Wait(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, c := range s.clusters {
			c.mu.Lock()
			closed := c.closed
			c.mu.Unlock()
			if closed {
				c.work.Wait()
			}
		}
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return errors.Join(errors.New("waiting for released clusters"), ctx.Err())
	}
}
