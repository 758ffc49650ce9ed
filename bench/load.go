package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// requester is one worker's way to send requests: one connection, and with MCP
// one session. It is used by one goroutine at a time.
type requester interface {
	open(ctx context.Context) error
	send(ctx context.Context, n int) error // request number n, checked against its answer
	close(ctx context.Context)
}

// generate sends requests requests, each worker one at a time, and returns how
// long each took.
func generate(ctx context.Context, workers []requester, requests int) ([]time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	latencies := make([]time.Duration, requests)
	var next atomic.Int64
	var group sync.WaitGroup
	for _, w := range workers {
		group.Go(func() {
			for {
				n := int(next.Add(1)) - 1
				if n >= requests || ctx.Err() != nil {
					return
				}
				start := time.Now()
				if err := w.send(ctx, n); err != nil {
					cancel(err)
					return
				}
				latencies[n] = time.Since(start)
			}
		})
	}
	group.Wait()
	return latencies, context.Cause(ctx)
}

// getter fetches a JSON document.
type getter struct {
	client *http.Client
	url    string
}

func (g *getter) open(ctx context.Context) error { return g.send(ctx, 0) }

func (g *getter) send(ctx context.Context, n int) error {
	text := fmt.Sprintf("ping-%d.", n)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url+"?text="+text, http.NoBody)
	if err != nil {
		return err
	}
	_, err = do(g.client, req, http.StatusOK, text)
	return err
}

func (g *getter) close(context.Context) { g.client.CloseIdleConnections() }

// caller calls tools in one MCP session, each in turn, or lists them.
type caller struct {
	client  *http.Client
	url     string
	tools   []string
	list    bool
	session string
}

const protocolVersion = "2025-11-25"

func (c *caller) open(ctx context.Context) error {
	initialize := `{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"` + protocolVersion +
		`","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}`
	header, err := c.post(ctx, initialize, http.StatusOK, `"serverInfo"`)
	if err != nil {
		return fmt.Errorf("initialize: %w", err)
	}
	if c.session = header.Get("Mcp-Session-Id"); c.session == "" {
		return fmt.Errorf("initialize: no session id")
	}
	if _, err := c.post(ctx, `{"jsonrpc":"2.0","method":"notifications/initialized"}`, http.StatusAccepted, ""); err != nil {
		return fmt.Errorf("notifications/initialized: %w", err)
	}
	// One call of each: sessions upstream are opened when first needed.
	for n := range c.tools {
		if err := c.send(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

func (c *caller) send(ctx context.Context, n int) error {
	if c.list {
		_, err := c.post(ctx, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/list"}`, n), http.StatusOK, c.tools[n%len(c.tools)])
		return err
	}
	text := fmt.Sprintf("ping-%d.", n)
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":%q,"params":{"name":%q,"arguments":{"text":%q}}}`, n, spec.ToolsCall, c.tools[n%len(c.tools)], text)
	_, err := c.post(ctx, body, http.StatusOK, text)
	return err
}

func (c *caller) close(ctx context.Context) {
	defer c.client.CloseIdleConnections()
	if c.session == "" {
		return
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, c.url, http.NoBody)
	if err != nil {
		return
	}
	c.header(req)
	if resp, err := c.client.Do(req); err == nil {
		resp.Body.Close()
	}
}

func (c *caller) header(req *http.Request) {
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if c.session != "" {
		req.Header.Set("Mcp-Session-Id", c.session)
		req.Header.Set("Mcp-Protocol-Version", protocolVersion)
	}
}

func (c *caller) post(ctx context.Context, body string, status int, contains string) (http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	c.header(req)
	return do(c.client, req, status, contains)
}

// do reads the whole answer; a wrong answer is an error.
func do(client *http.Client, req *http.Request, status int, contains string) (http.Header, error) {
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != status || !bytes.Contains(body, []byte(contains)) {
		return nil, fmt.Errorf("answered %s, %q; want %d and %q in it", resp.Status, body, status, contains)
	}
	return resp.Header, nil
}
