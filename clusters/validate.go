package clusters

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/mcpgateway/mcpgateway/clusters/process"
	"github.com/mcpgateway/mcpgateway/proxy/config"
)

// Validate checks what the tags cannot say.
func (c *Config) Validate(s *config.Scope) {
	switch {
	case len(c.Endpoints) == 0 && len(c.Command) == 0:
		s.Errorf("", "a cluster needs endpoints, or a command")
	case len(c.Endpoints) > 0 && len(c.Command) > 0:
		s.Errorf("command", "a cluster has either endpoints or a command, not both")
	case len(c.Command) > 0:
		c.validateCommand(s)
	default:
		c.validateEndpoints(s)
	}
	for name, v := range c.Headers {
		if err := checkHeader(name, v.Text); err != nil {
			s.Errorf("headers."+name, "%v", err)
		}
	}
}

func (c *Config) validateEndpoints(s *config.Scope) {
	refuseKeys(s, "only a command has this", "env", "dir", "max_processes", "queue_timeout", "start_timeout")
	var first *url.URL
	seen := map[string]int{}
	for i, raw := range c.Endpoints {
		at := fmt.Sprintf("endpoints[%d]", i)
		u, err := parseEndpoint(raw)
		if err != nil {
			s.Errorf(at, "%v", err)
			continue
		}
		if j, dup := seen[endpointURL(u)]; dup {
			s.Errorf(at, "the same as endpoints[%d], but for its query if that differs", j)
			continue
		}
		seen[endpointURL(u)] = i
		first = cmp.Or(first, u)
		if u.Scheme != first.Scheme {
			s.Errorf(at, "is %s, but endpoints[0] is %s: endpoints of one cluster are interchangeable and share one scheme", u.Scheme, first.Scheme)
		}
		if u.Path != first.Path {
			s.Errorf(at, "has the path %q, but endpoints[0] has %q: endpoints of one cluster are interchangeable and share one path", u.Path, first.Path)
		}
	}
	c.validateProtocols(s, first)
}

func (c *Config) validateProtocols(s *config.Scope, first *url.URL) {
	for i, p := range c.Protocols {
		if slices.Contains(c.Protocols[:i], p) {
			s.Errorf(fmt.Sprintf("protocols[%d]", i), "%s stands here twice", p)
		}
	}
	if slices.Contains(c.Protocols, "h3") {
		if len(c.Protocols) > 1 {
			s.Errorf("protocols", "h3 stands alone, since UDP cannot be negotiated with TCP; write [h3], or leave it out")
		}
		c.validateKind(s, "HTTP/3 has no TCP connection to check; use", func(k kind) bool { return k.http3 })
		if c.Proxy != "none" && c.Proxy != "" {
			s.Errorf("proxy_protocol", "is for TCP, which HTTP/3 does not use")
		}
		if first != nil && first.Scheme == "http" {
			s.Errorf("protocols", "HTTP/3 is always encrypted; the endpoints need https://")
			return
		}
	}
	if first == nil || first.Scheme == "https" {
		return
	}
	if c.TLS != nil {
		s.Errorf("tls", "the endpoints are plain text (http://), where TLS settings have no effect; use https://, or remove this")
	}
	if len(c.Protocols) > 1 {
		s.Errorf("protocols", "plain text (http://) has no way to choose between protocols; name one")
	}
}

func (c *Config) validateCommand(s *config.Scope) {
	refuseKeys(s, "a command has no connections; this has no effect on it",
		"protocols", "proxy_protocol", "dns_refresh", "tls", "headers", "query", "connect_timeout", "idle_timeout", "max_connection_age")
	c.validateKind(s, "a command has only", func(k kind) bool { return k.command })
	for name := range c.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			s.Errorf("env", "%q cannot name an environment variable", name)
		}
	}
	if c.Dir != "" {
		if info, err := os.Stat(string(c.Dir)); err != nil {
			s.Errorf("dir", "%v", err)
		} else if !info.IsDir() {
			s.Errorf("dir", "%s is not a directory", c.Dir)
		}
	}
	if _, err := process.LookPath(c.Command[0], string(c.Dir), process.Environ(os.Environ(), c.Env)); err != nil {
		way := ""
		if strings.ContainsAny(strings.TrimSpace(c.Command[0]), " \t\n") {
			way = "; each word of a command line is an item of its own: " + config.List(c.Command[0])
		}
		s.Errorf("command[0]", "%v%s", err, way)
	}
}

// validateKind refuses a kind of health check that does not work for the cluster,
// and names those that work.
func (c *Config) validateKind(s *config.Scope, why string, work func(kind) bool) {
	if c.HealthCheck == nil {
		return
	}
	if k, known := kinds[c.HealthCheck.Kind]; known && !work(k) {
		names := slices.DeleteFunc(slices.Sorted(maps.Keys(kinds)), func(name string) bool { return !work(kinds[name]) })
		s.Errorf("health_check.kind", "%s %s", why, strings.Join(names, " or "))
	}
}

func refuseKeys(s *config.Scope, why string, keys ...string) {
	for _, key := range keys {
		if s.IsSet(key) {
			s.Errorf(key, "%s", why)
		}
	}
}

// parseEndpoint parses one of the URLs of a cluster.
func parseEndpoint(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		// url.Error repeats the text, which stands right there in the file.
		if ue := new(url.Error); errors.As(err, &ue) {
			err = ue.Err
		}
		return nil, fmt.Errorf("not a URL: %w", err)
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("must begin with http:// or https://")
	case u.Hostname() == "":
		return nil, fmt.Errorf("names no host")
	case u.User != nil:
		return nil, fmt.Errorf("holds a user name; send credentials by headers, from a file")
	case u.Fragment != "":
		return nil, fmt.Errorf("holds a fragment; an endpoint is scheme, host, port, path and query")
	case strings.ContainsAny(u.RawQuery, " \t"):
		return nil, fmt.Errorf("has a space in its query; write %%20")
	case strings.HasSuffix(u.Host, ":"):
		return nil, fmt.Errorf("names no port after the colon")
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return nil, fmt.Errorf("port %s is not within 1 to 65535", p)
		}
	}
	if u.Path == "" {
		u.Path = "/"
	}
	u.Host = strings.ToLower(u.Host)
	return u, nil
}

// ownedHeaders are decided by the connection or by the message, and cannot be
// constants of a cluster (RFC 9110, section 7.6.1; RFC 9112, section 6).
var ownedHeaders = []string{"Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

func checkHeader(name, value string) error {
	switch canonical := http.CanonicalHeaderKey(name); {
	case !httpguts.ValidHeaderFieldName(name):
		return fmt.Errorf("%q is not a header name", name)
	case canonical == "Host":
		return fmt.Errorf("the Host sent upstream is the client's, or the one of the route's rewrite.host")
	case slices.Contains(ownedHeaders, canonical):
		return fmt.Errorf("%s belongs to the connection, and cannot be set", canonical)
	case !httpguts.ValidHeaderFieldValue(value):
		return fmt.Errorf("the value holds characters that a header must not hold, such as line breaks")
	}
	return nil
}
