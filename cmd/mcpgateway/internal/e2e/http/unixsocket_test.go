package http_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
)

// A proxy on the same machine reaches us by a unix socket, says who its clients
// are, and reaches us still after a tool has cleaned the sockets' files away.
func TestUnixSocketsForAProxyInFront(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("X-Forwarded-For"), " ", r.Header.Get("X-Forwarded-Proto"))
	}))
	t.Cleanup(upstream.Close)
	dir := harness.ShortDir(t)
	trusting, other := filepath.Join(dir, "t.sock"), filepath.Join(dir, "o.sock")
	g := harness.Start(t, dir, fmt.Sprintf(`
listeners:
  - {name: trusting, address: "unix:%s", trusted_proxies: [unix, 10.0.0.0/8]}
  - {name: other, address: "unix:%s", trusted_proxies: [10.0.0.0/8]}
routes: [{listeners: [all], match: {path_prefix: /}, cluster: up}]
clusters: [{name: up, endpoints: ["%s"]}]`, trusting, other, upstream.URL))
	ask := func(socket string) (string, error) {
		transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}}
		req, err := http.NewRequest(http.MethodGet, "http://localhost/", nil)
		if err != nil {
			return "", err
		}
		req.Header.Set("X-Forwarded-For", "1.2.3.4, 10.0.0.7")
		req.Header.Set("X-Forwarded-Proto", "https")
		res, err := transport.RoundTrip(req)
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		return string(b), err
	}
	for socket, want := range map[string]string{trusting: "1.2.3.4, 10.0.0.7 https", other: " http"} {
		if got, err := ask(socket); err != nil || got != want {
			t.Errorf("by %s the upstream heard of %q, %v, want %q", filepath.Base(socket), got, err, want)
		}
	}
	sockets := []string{trusting, other, filepath.Join(dir, "a.sock")}
	for _, socket := range sockets {
		if err := os.Remove(socket); err != nil {
			t.Fatal(err)
		}
	}
	g.Eventually("the sockets to be there again", func() (err error) {
		for _, socket := range sockets {
			_, statErr := os.Stat(socket)
			err = errors.Join(err, statErr)
		}
		return err
	})
	if got, err := ask(trusting); err != nil || got != "1.2.3.4, 10.0.0.7 https" {
		t.Errorf("by the new file the upstream heard of %q, %v", got, err)
	}
	if !g.Status().Ready {
		t.Error("the gateway is not ready")
	}
}
