package proxy

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	cryptotls "crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/listeners"
	"github.com/mcpgateway/mcpgateway/proxy/admin"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/tls"
	"github.com/mcpgateway/mcpgateway/tls/spiffe"
	"github.com/mcpgateway/mcpgateway/tls/spiffe/spiffetest"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// rotate delivers another SVID, and returns its serial number.
func rotate(t *testing.T, agent *spiffetest.WorkloadAPI, ca *tlstest.CA) (serial string) {
	t.Helper()
	cert, key := ca.Issue(t, spiffetest.Template(t, tlstest.Template(t, ""), "spiffe://example.org/gateway"))
	agent.SetSVID("spiffe://example.org/gateway", cert, key, ca.PEM())
	return tlstest.Certificate(t, cert, key).Leaf.SerialNumber.String()
}

// What a rotation puts in is taken from the file as it was read: what stayed
// there from the last one would never be rotated again.
func TestIdentitiesLeaveTheFileAsItIs(t *testing.T) {
	agent, ca := spiffetest.Start(t), tlstest.NewCA(t, "example.org")
	rotate(t, agent, ca)
	sources := spiffe.NewSources(func() {}, nil)
	defer sources.Close()
	from := &tls.SPIFFE{Socket: agent.Socket}
	required := tls.ClientAuth{Mode: tls.ClientAuthRequire}
	file := &Config{
		Listeners: []listeners.Config{{Name: "plain"}, {Name: "mesh", TLS: &tls.ServerConfig{
			SPIFFE: from, ClientAuth: required, Policies: []tls.Policy{{Hosts: []string{"a.example"}, ClientAuth: &required}, {Hosts: []string{"b.example"}}},
		}}},
		Clusters: []clusters.Config{{Name: "plain"}, {Name: "mesh", TLS: &tls.ClientConfig{SPIFFE: from}}},
	}
	before := config.Fingerprint(file)
	first, err := file.withIdentities(t.Context(), sources)
	if err != nil {
		t.Fatal(err)
	}
	if config.Fingerprint(file) != before {
		t.Error("the file was written to")
	}
	server, client := first.Listeners[1].TLS, first.Clusters[1].TLS
	for name, f := range map[string]config.File{
		"certificate": server.Certificates[0].Cert, "CA": server.ClientAuth.CACert, "CA of a policy": server.Policies[0].ClientAuth.CACert,
		"client certificate": client.ClientCert, "server CA": client.CACert,
	} {
		if f.IsZero() {
			t.Errorf("there is no %s", name)
		}
	}
	file = &Config{Listeners: file.Listeners[:1], Clusters: file.Clusters[:1]}
	if same, err := file.withIdentities(t.Context(), sources); same != file || err != nil {
		t.Errorf("without a Workload API it is another: %v", err)
	}
}

// mesh is a gateway with one listener of an agent's, which looks soon again
// after a rejection. Its file may have more sections.
type mesh struct {
	*process
	agent *spiffetest.WorkloadAPI
	ca    *tlstest.CA
	yaml  string
}

func newMesh(t *testing.T, sections string, edit func(*Gateway)) *mesh {
	t.Helper()
	m := &mesh{agent: spiffetest.Start(t), ca: tlstest.NewCA(t, "example.org")}
	rotate(t, m.agent, m.ca)
	m.yaml = fmt.Sprintf("%slisteners: [{name: mesh, address: \"127.0.0.1:0\", tls: {spiffe: {socket: %q}}}]\n%s", unwatched, m.agent.Socket, sections)
	m.process = idle(t, "", m.yaml)
	m.reloader.rotateAgainAfter = 20 * time.Millisecond
	edit(m.Gateway)
	m.begin()
	m.serves()
	return m
}

// shows waits until the listener has the SVID of this serial number.
func (m *mesh) shows(serial string) {
	m.t.Helper()
	testkit.Retry(m.t, "the SVID", func() error {
		conn, err := cryptotls.Dial("tcp", m.address("mesh"), &cryptotls.Config{InsecureSkipVerify: true})
		if err != nil {
			return err
		}
		defer conn.Close()
		if got := conn.ConnectionState().PeerCertificates[0].SerialNumber.String(); got != serial {
			return fmt.Errorf("it shows %s", got)
		}
		return nil
	})
}

// The Workload API tells of an identity once, also of one that is of no use yet.
func TestARotationThatIsRejectedIsTriedAgain(t *testing.T) {
	m := newMesh(t, "", func(*Gateway) {})
	rotateTo(t, m.agent, m.ca, elliptic.P224()) // with which TLS 1.3 knows nothing to do
	testkit.Retry(t, "the second rejection", func() error {
		if n := strings.Count(m.logs.String(), "reload rejected"); n < 2 {
			return fmt.Errorf("there are %d", n)
		}
		return nil
	})
	if o := m.Status().LastReload; o.Result != admin.Rejected || o.Trigger != rotation || !strings.Contains(strings.Join(o.Errors, " "), "P-224") {
		t.Errorf("the last reload is shown as %+v", o)
	}
	m.shows(rotate(t, m.agent, m.ca))
	if o := m.Status().LastReload; o.Result != admin.Applied || o.Trigger != rotation {
		t.Errorf("the last reload is shown as %+v", o)
	}
}

// rotateTo delivers an SVID with a key of the curve.
func rotateTo(t *testing.T, agent *spiffetest.WorkloadAPI, ca *tlstest.CA, curve elliptic.Curve) {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.CreateCertificate(rand.Reader, spiffetest.Template(t, tlstest.Template(t, ""), "spiffe://example.org/gateway"), ca.Cert, key.Public(), ca.Key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	agent.SetSVID("spiffe://example.org/gateway", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), ca.PEM())
}

// A reload that is rejected may have been the first to see a rotation, so that
// no later one is told of it.
func TestARotationSurvivesTheReloadThatSawIt(t *testing.T) {
	m := newMesh(t, "", func(g *Gateway) {
		g.shared.spiffe.Close()
		g.shared.spiffe = spiffe.NewSources(func() {}, g.observer.SPIFFE)
	})
	next := rotate(t, m.agent, m.ca)
	testkit.Retry(t, "the delivery", func() error {
		if n := strings.Count(m.logs.String(), "delivered an identity"); n < 2 {
			return fmt.Errorf("there are %d", n)
		}
		return nil
	})
	if o := m.apply(m.yaml + "routes: }"); o.Result != admin.Rejected {
		t.Errorf("the broken file was %s", o.Result)
	}
	m.shows(next)
}

// An edit may change nothing today and decide about the next rotation.
func TestARotationGoesByTheFileThatWasReadLast(t *testing.T) {
	m := newMesh(t, "", func(*Gateway) {})
	write(t, filepath.Join(m.dir, "ca.crt"), string(m.ca.PEM()))
	withCA := func(auth string) string {
		return strings.Replace(m.yaml, "tls: {", "tls: {client_auth: {"+auth+"}, ", 1)
	}
	m.mustApply(withCA("mode: require"))
	if o := m.apply(withCA("mode: require, ca_cert: ca.crt")); o.Result != admin.Unchanged {
		t.Fatalf("the same CA by file was %s: %q", o.Result, o.Errors)
	}
	byFile := m.ca.PEM()
	m.ca = tlstest.NewCA(t, "next")
	m.shows(rotate(t, m.agent, m.ca))
	if got := m.shared.generations.newest().config.Listeners[0].TLS.ClientAuth.CACert.Data; !bytes.Equal(got, byFile) {
		t.Error("clients are verified by the agent's CA, not by that of the file")
	}
}
