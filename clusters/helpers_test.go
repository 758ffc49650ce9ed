package clusters_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cluster returns a configuration with its defaults, and health checks off.
func cluster(t testing.TB, name string, endpoints ...string) clusters.Config {
	t.Helper()
	var c clusters.Config
	if err := config.Defaults(&c); err != nil {
		t.Fatal(err)
	}
	c.Name, c.Endpoints = name, endpoints
	return c
}

func checks(t testing.TB, kind string) *clusters.HealthCheck {
	t.Helper()
	h := new(clusters.HealthCheck)
	if err := config.Defaults(h); err != nil {
		t.Fatal(err)
	}
	h.Kind = kind
	return h
}

// mcp has p make the probes of kind mcp.
func mcp(p clusters.Prober) map[string]clusters.Prober { return map[string]clusters.Prober{"mcp": p} }

// awaitHealth waits until checks have found this about an endpoint.
func awaitHealth(t testing.TB, e *clusters.Endpoint, want clusters.Health) {
	t.Helper()
	testkit.Retry(t, "the health check's verdict: "+want.String(), func() error {
		if st := e.Status(); st.Health != want {
			return fmt.Errorf("%s is %s after a check that said %v", st.ID, st.Health, st.LastError)
		}
		return nil
	})
}

// newSet makes, commits, and at the end of the test releases a set.
func newSet(t testing.TB, opts clusters.Options, cfgs ...clusters.Config) *clusters.Set {
	t.Helper()
	s := prepare(t, nil, opts, cfgs...)
	s.Commit()
	return s
}

// prepare makes a set, which is released at the end of the test at the latest.
func prepare(t testing.TB, previous *clusters.Set, opts clusters.Options, cfgs ...clusters.Config) *clusters.Set {
	t.Helper()
	s, err := clusters.NewSet(cfgs, previous, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { release(t, s) })
	return s
}

func release(t testing.TB, s *clusters.Set) {
	s.Release()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Wait(ctx); err != nil {
		t.Error(err)
	}
}

func get(t testing.TB, s *clusters.Set, name string) *clusters.Cluster {
	t.Helper()
	c, ok := s.Get(name)
	if !ok {
		t.Fatalf("no cluster %s", name)
	}
	return c
}
