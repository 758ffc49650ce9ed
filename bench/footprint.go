package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"
)

// footprint is the memory that a proxy keeps for each of many idle clients.
type footprint struct {
	kind  string // what each client has
	proxy string
	each  int // bytes resident
}

// holder opens what a client keeps; close ends it.
type holder func(ctx context.Context) (close func(), err error)

// settling is how long a proxy gets to return the memory that only its start
// needed.
const settling = 2 * time.Second

// footprints measures each kind in a process of its own, since a process that has
// served before has free memory that it need not get from the kernel.
func (b *testbed) footprints(ctx context.Context, clients int) ([]footprint, error) {
	if clients == 0 {
		return nil, nil
	}
	var all []footprint
	measure := func(kind, name string, p *proxy, hold holder) error {
		each, err := b.footprint(ctx, p, clients, hold)
		if err != nil {
			return fmt.Errorf("%s, %s: %w", name, kind, err)
		}
		all = append(all, footprint{kind, name, each})
		return nil
	}
	for _, p := range b.proxies {
		if err := errors.Join(
			measure("idle connection", p.plainName(), p, b.idleConnection("https://"+p.at+"/json")),
			measure("open event stream", p.plainName(), p, b.openStream("https://"+p.at+"/events", nil)),
		); err != nil {
			return all, err
		}
		if !p.isGateway() {
			continue
		}
		for path, tools := range map[string][]string{"/one": {"echo"}, "/three": {"c0__echo", "c1__echo", "c2__echo"}} {
			url, name := "https://"+p.mcpAt+path, fmt.Sprintf("%s, MCP, clusters: %d", p.name, len(tools))
			if err := errors.Join(
				measure("idle MCP session", name, p, b.idleSession(url, tools)),
				measure("MCP session with a stream", name, p, b.sessionWithStream(url, tools)),
			); err != nil {
				return all, err
			}
		}
	}
	slices.SortStableFunc(all, func(a, b footprint) int { return slices.Index(kinds, a.kind) - slices.Index(kinds, b.kind) })
	return all, nil
}

var kinds = []string{"idle connection", "open event stream", "idle MCP session", "MCP session with a stream"}

func (b *testbed) footprint(ctx context.Context, p *proxy, clients int, hold holder) (each int, err error) {
	p.process.stop()
	if err := p.start(ctx, b.pki); err != nil {
		return 0, err
	}
	var closers []func()
	defer func() {
		for _, close := range closers {
			close()
		}
	}()
	open := func(n int) error {
		for range n {
			closer, err := hold(ctx)
			if err != nil {
				return err
			}
			closers = append(closers, closer)
		}
		select {
		case <-time.After(settling):
		case <-ctx.Done():
		}
		return ctx.Err()
	}
	// With the first clients the proxy makes what all of them share.
	if err := open(10); err != nil {
		return 0, err
	}
	before, err := p.process.resident()
	if err != nil {
		return 0, err
	}
	if err := open(clients); err != nil {
		return 0, err
	}
	after, err := p.process.resident()
	return (after - before) / clients, err
}

// idleConnection is a connection that has fetched something.
func (b *testbed) idleConnection(url string) holder {
	return func(ctx context.Context) (func(), error) {
		g := &getter{client: b.pki.client(), url: url}
		return func() { g.close(ctx) }, g.open(ctx)
	}
}

// openStream is a stream of events of which one has come, or none where it
// belongs to a session.
func (b *testbed) openStream(url string, session *caller) holder {
	return func(ctx context.Context) (func(), error) {
		client := b.pki.client()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return nil, err
		}
		if session != nil {
			session.header(req)
		}
		req.Header.Set("Accept", "text/event-stream")
		resp, err := client.Do(req)
		if err != nil {
			return nil, err
		}
		closer := func() { resp.Body.Close(); client.CloseIdleConnections() }
		if resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("status %s", resp.Status)
		} else if session == nil {
			_, err = bufio.NewReader(io.LimitReader(resp.Body, 1<<10)).ReadString('\n')
		}
		if err != nil {
			closer()
		}
		return closer, err
	}
}

// idleSession is a session that has called each tool; its connection is closed.
func (b *testbed) idleSession(url string, tools []string) holder {
	return func(ctx context.Context) (func(), error) {
		c := &caller{client: b.pki.client(), url: url, tools: tools}
		if err := c.open(ctx); err != nil {
			return nil, err
		}
		c.client.CloseIdleConnections()
		return func() { c.close(ctx) }, nil
	}
}

func (b *testbed) sessionWithStream(url string, tools []string) holder {
	return func(ctx context.Context) (func(), error) {
		c := &caller{client: b.pki.client(), url: url, tools: tools}
		if err := c.open(ctx); err != nil {
			return nil, err
		}
		c.client.CloseIdleConnections()
		closer, err := b.openStream(url, c)(ctx)
		if err != nil {
			return nil, err
		}
		return func() { closer(); c.close(ctx) }, nil
	}
}
