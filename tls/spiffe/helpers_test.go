package spiffe_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mcpgateway/mcpgateway/tls/spiffe"
	"github.com/mcpgateway/mcpgateway/tls/spiffe/spiffetest"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

const gatewayID = "spiffe://example.org/gateway"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// identity is what an agent delivers.
type identity struct {
	id                string
	cert, key, bundle []byte
}

func issue(t *testing.T, ca *tlstest.CA, id string) identity {
	t.Helper()
	cert, key := ca.Issue(t, spiffetest.Template(t, tlstest.Template(t, ""), id))
	return identity{id, cert, key, ca.PEM()}
}

func set(w *spiffetest.WorkloadAPI, i identity) { w.SetSVID(i.id, i.cert, i.key, i.bundle) }

// fixture is one agent and a client that listens to it.
type fixture struct {
	*spiffe.Sources
	agent   *spiffetest.WorkloadAPI
	ca      *tlstest.CA
	changed chan struct{} // one for each call
	updated chan string   // ID
	failed  chan error
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{
		agent:   spiffetest.Start(t),
		ca:      tlstest.NewCA(t, "example.org"),
		changed: make(chan struct{}, 100),
		updated: make(chan string, 100),
		failed:  make(chan error, 100),
	}
	f.Sources = spiffe.NewSources(func() { f.changed <- struct{}{} }, &spiffe.Trace{
		Updated: func(_, id string) { f.updated <- id },
		Failed:  func(_ string, err error) { f.failed <- err },
	})
	t.Cleanup(f.Close)
	return f
}

func (f *fixture) get(t *testing.T) *spiffe.Material {
	t.Helper()
	m, err := f.Get(patiently(t), f.agent.Socket)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// patiently ends long after anything that works.
func patiently(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func await[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-patiently(t).Done():
		t.Fatalf("%s did not happen", what)
		panic("unreachable")
	}
}

func (i identity) check(t *testing.T, m *spiffe.Material) {
	t.Helper()
	if m.ID.String() != i.id {
		t.Errorf("ID is %s, want %s", m.ID, i.id)
	}
	for name, pair := range map[string][2][]byte{
		"CertPEM": {m.Cert.Data, i.cert}, "KeyPEM": {m.Key.Data, i.key}, "BundlePEM": {m.Bundle.Data, i.bundle},
	} {
		if !bytes.Equal(pair[0], pair[1]) {
			block, _ := pem.Decode(pair[0])
			t.Errorf("%s (%d bytes, want %d) is not what the agent delivered; it begins with a block %v", name, len(pair[0]), len(pair[1]), block != nil)
		}
	}
}
