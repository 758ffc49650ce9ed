package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/mcpgateway/mcpgateway/proxy/config"
)

// Client asks a running gateway.
type Client struct {
	base string
	http *http.Client
	name string
}

// NewClient speaks to the API at address: host:port or unix:/path.
func NewClient(address string) *Client {
	t := &http.Transport{Proxy: nil, DisableKeepAlives: true}
	c := &Client{base: "http://" + address, name: address, http: &http.Client{Transport: t}}
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		c.base = "http://localhost"
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "unix", path)
		}
	}
	return c
}

// Status fetches GET /status.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	return s, c.do(ctx, http.MethodGet, "/status", &s)
}

// Reload asks for a reload and waits for its outcome.
func (c *Client) Reload(ctx context.Context) (Outcome, error) {
	var o Outcome
	return o, c.do(ctx, http.MethodPost, "/reload", &o)
}

func (c *Client) do(ctx context.Context, method, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, nil)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("asking the gateway at %s: %w; is it running, and does its file have an admin section?", c.name, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return fmt.Errorf("reading the gateway's answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusUnprocessableEntity {
		return fmt.Errorf("the gateway at %s answered %s: %s", c.name, resp.Status, strings.TrimSpace(string(body)))
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("the gateway at %s gave an answer that is no JSON: %w", c.name, err)
	}
	return nil
}

// AddressIn reads admin.address from the file at path, even when the file is
// wrong elsewhere: that is when an operator asks why. Empty without an admin
// section.
func AddressIn(path string, env func(string) (string, bool)) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var file struct {
		Admin *struct{ Address string } `yaml:"admin"`
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	if file.Admin == nil {
		return "", nil
	}
	if file.Admin.Address == "" {
		var c Config
		return c.Address, config.Defaults(&c)
	}
	return config.Expand(file.Admin.Address, env)
}
