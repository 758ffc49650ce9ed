package rotation_test

import (
	"bytes"
	cryptotls "crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/tls/acme/acmetest"
	"github.com/mcpgateway/mcpgateway/tls/spiffe/spiffetest"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// file is one file of a rotation, in the order in which an operator writes
// them.
type file struct {
	name string
	data []byte
}

// trigger is a way in which files come to be replaced and the gateway to know.
type trigger struct {
	name string
	// torn says that there are moments at which some are new and others old.
	torn bool
	// signal says that the gateway is told, and does not look by itself.
	signal bool
	write  func(t *rotationTable, files []file)
}

var triggers = []trigger{
	{"signal", true, true, (*rotationTable).writeInPlace},
	{"in place", true, false, (*rotationTable).writeInPlace},
	{"rename", true, false, func(t *rotationTable, files []file) {
		for _, f := range files {
			harness.WriteFile(t, t.dir, "new.tmp", f.data)
			if err := os.Rename(filepath.Join(t.dir, "new.tmp"), filepath.Join(t.dir, f.name)); err != nil {
				t.Fatal(err)
			}
		}
	}},
	// As Kubernetes mounts secrets: every name leads through one link.
	{"symlink swap", false, false, (*rotationTable).swap},
}

// rotationTable is a gateway with all that can be rotated.
type rotationTable struct {
	*testing.T
	*harness.Gateway
	dir     string
	trigger trigger
	current map[string][]byte // behind ..data
	swaps   int

	serverCA, a, b *tlstest.CA
	upstreams      *upstreams
	me             cryptotls.Certificate // of b, which stays
	config         func(directory string) string
	one, two       harness.ACMEAuthority

	// What the first listener shows, and whom the upstreams see, at present.
	leaf *x509.Certificate
	cn   string
}

func (t *rotationTable) writeInPlace(files []file) {
	for _, f := range files {
		harness.WriteFile(t, t.dir, f.name, f.data)
	}
}

func (t *rotationTable) swap(files []file) {
	for _, f := range files {
		t.current[f.name] = f.data
	}
	t.swaps++
	fresh := fmt.Sprintf("..%d", t.swaps)
	if err := os.Mkdir(filepath.Join(t.dir, fresh), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, data := range t.current {
		harness.WriteFile(t, filepath.Join(t.dir, fresh), name, data)
	}
	link := func(target, name string) {
		tmp := filepath.Join(t.dir, "link.tmp")
		if err := errors.Join(os.Symlink(target, tmp), os.Rename(tmp, filepath.Join(t.dir, name))); err != nil {
			t.Fatal(err)
		}
	}
	link(fresh, "..data")
	for _, f := range files {
		if info, err := os.Lstat(filepath.Join(t.dir, f.name)); err != nil || info.Mode().Type() != os.ModeSymlink {
			link("..data/"+f.name, f.name)
		}
	}
}

// put rotates files by the table's trigger.
func (t *rotationTable) put(files ...file) {
	t.Helper()
	t.trigger.write(t, files)
	if t.trigger.signal {
		t.HangUp()
	}
}

// pair is a certificate and then its key.
func pair(name string, cert, key []byte) []file {
	return []file{{name + ".crt", cert}, {name + ".key", key}}
}

func (t *rotationTable) crl(revoked ...[]byte) file {
	soon := time.Now().Add(time.Hour)
	return file{"clients.crl", slices.Concat(t.a.CRL(t, soon, revoked...), t.b.CRL(t, soon))}
}

func newRotationTable(t *testing.T, tr trigger, one, two harness.ACMEAuthority, port int) *rotationTable {
	t.Helper()
	r := &rotationTable{T: t, dir: harness.ShortDir(t), trigger: tr, current: map[string][]byte{}, one: one, two: two, upstreams: newUpstreams(t),
		serverCA: tlstest.NewCA(t, "servers"), a: tlstest.NewCA(t, "a"), b: tlstest.NewCA(t, "b"), cn: "gateway"}
	r.me = harness.CertificateOf(r.b.Client(t, "me"))(t)
	serverCert, serverKey := r.serverCA.Server(t, "localhost", "127.0.0.1")
	r.leaf = harness.CertificateOf(serverCert, serverKey)(t).Leaf
	clientCert, clientKey := r.a.Client(t, r.cn)
	svid, svidKey, bundle := r.svid("/gateway")
	files := slices.Concat(pair("server", serverCert, serverKey), pair("client", clientCert, clientKey), pair("svid", svid, svidKey),
		[]file{{"upstream.crt", r.upstreams.ca.PEM()}, {"clients.crt", slices.Concat(r.a.PEM(), r.b.PEM())}, r.crl(), {"bundle.crt", bundle}, {"acme.crt", slices.Concat(one.CA, two.CA)}})
	tr.write(r, files)
	r.config = func(directory string) string {
		return fmt.Sprintf(`
reload: {watch: %t}
drain: {timeout: 30s, close_spread: 10ms}
acme: {directory: "%s", ca_cert: acme.crt, storage: store}
listeners:
  - name: public
    address: 127.0.0.1:0
    protocols: [http/1.1, h2, h3]
    tls:
      certificates: [{cert: server.crt, key: server.key}]
      client_auth: {mode: require, ca_cert: clients.crt, crl: clients.crl}
  - name: mesh
    address: 127.0.0.1:0
    protocols: [http/1.1, h2, h3]
    tls:
      certificates: [{cert: svid.crt, key: svid.key}]
      client_auth: {mode: require, ca_cert: bundle.crt, allowed_names: ["spiffe://example.org/*"]}
  - name: acme
    address: 127.0.0.1:%d
    protocols: [http/1.1, h2, h3]
    tls: {certificates: [{acme: [%s]}]}
routes:
%s
  - {match: {path_prefix: /}, listeners: [all], respond: {body: "here"}}
clusters:
%s`, !tr.signal, directory, port, harness.ACMEName, r.upstreams.routes(), r.upstreams.clusters())
	}
	r.Gateway = harness.Start(t, r.dir, r.config(one.Directory))
	return r
}

// svid is an identity as an SPIFFE helper writes it, of a CA of its own.
func (t *rotationTable) svid(path string) (cert, key, bundle []byte) {
	ca := tlstest.NewCA(t, "example.org")
	cert, key = ca.Issue(t, spiffetest.Template(t, tlstest.Template(t, ""), "spiffe://example.org"+path))
	return cert, key, ca.PEM()
}

// sees makes one handshake, with one request, over a version of HTTP. nil
// roots believe every certificate.
func (t *rotationTable) sees(protocol, listener, path string, roots []byte, edit func(*cryptotls.Config)) (body string, leaf *x509.Certificate, err error) {
	c, _ := harness.ClientOf(t, protocol, t.serverCA.PEM(), func(cfg *cryptotls.Config) {
		if cfg.ServerName = "localhost"; edit != nil {
			edit(cfg)
		}
		if roots == nil {
			cfg.InsecureSkipVerify = true
		}
	})
	defer c.CloseIdleConnections()
	status, body, state, err := harness.Ask(c, "https://"+t.Address(listener)+path, "")
	if err != nil {
		return "", nil, err
	}
	if status != http.StatusOK {
		return "", nil, fmt.Errorf("%d %s", status, body)
	}
	return body, state.PeerCertificates[0], nil
}

// public is sees on the first listener, as a client that stays.
func (t *rotationTable) public(protocol, path string) (string, *x509.Certificate, error) {
	return t.sees(protocol, "public", path, t.serverCA.PEM(), harness.WithCertificate(t.me))
}

// everywhere waits until a check holds over each version of HTTP.
func (t *rotationTable) everywhere(what string, check func(protocol string) error) {
	t.Helper()
	for _, protocol := range harness.Transports {
		t.Eventually(what+" over "+protocol, func() error { return check(protocol) })
	}
}

// who asks the upstream of a version of HTTP, over the same version, whom it sees.
func (t *rotationTable) who(protocol string) (string, error) {
	body, _, err := t.public(protocol, apiOver(protocol)+"/who")
	return body, err
}

// same checks over one version of HTTP that what was shown is shown, and that
// the upstream is believed and sees whom it saw.
func (t *rotationTable) same(protocol string) error {
	_, leaf, err := t.public(protocol, "/")
	if err != nil {
		return err
	}
	if !leaf.Equal(t.leaf) {
		return fmt.Errorf("the certificate with serial %X is shown, want %X", leaf.SerialNumber, t.leaf.SerialNumber)
	}
	if cn, err := t.who(protocol); err != nil || cn != t.cn {
		return fmt.Errorf("the upstream saw %q, %v; want %s", cn, err, t.cn)
	}
	return nil
}

// stays checks that nothing has changed, over each version of HTTP in turn, for
// as long as it takes to load a file that was put, and not as long as a reload
// waits for one.
func (t *rotationTable) stays(when string, checks ...func(protocol string) error) {
	t.Helper()
	until := time.Now().Add(600 * time.Millisecond)
	for n := 0; n < len(harness.Transports) || time.Now().Before(until); n++ {
		protocol := harness.Transports[n%len(harness.Transports)]
		for _, check := range append(checks, t.same) {
			if err := check(protocol); err != nil {
				t.Fatalf("%s, over %s: %v", when, protocol, err)
			}
		}
	}
}

// patience is what a machine may take to look at a torn state that is to be
// waited for: the gateway gives it three seconds.
const patience = 2500 * time.Millisecond

// breaks cuts a file in the middle, which is waited for, and then has rubbish in
// its place, which is refused. The old content stays in force.
func (t *rotationTable) breaks(name string, checks ...func(protocol string) error) {
	t.Helper()
	old, before := harness.Read(t, t.dir, name), t.Rejected()
	if bytes.HasPrefix(old, []byte("-----BEGIN")) {
		began := time.Now()
		t.put(file{name, old[:len(old)*3/4]}) // in its last block
		t.stays("with a part of "+name, checks...)
		if n := t.Rejected(); n != before && time.Since(began) < patience {
			t.Errorf("%s in the middle of being written: %d reloads were rejected", name, n-before)
		}
	}
	t.put(file{name, []byte("rubbish\n")})
	t.Eventually("the rubbish to be refused", func() error {
		if r := t.Status().LastReload; r == nil || r.Result != "rejected" || len(r.Errors) == 0 {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
	for _, protocol := range harness.Transports {
		for _, check := range append(checks, t.same) {
			if err := check(protocol); err != nil {
				t.Errorf("with rubbish in %s, over %s: %v", name, protocol, err)
			}
		}
	}
	t.put(file{name, old})
	t.Eventually("the old content to be taken again", func() error {
		if r := t.Status().LastReload; r.Result == "rejected" {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
}

// replace rotates a pair, with a pause between the halves where there is one:
// a signal comes with the first.
func (t *rotationTable) replace(name string, cert, key []byte) {
	t.Helper()
	generation, before := t.Status().Generation.Number, t.Rejected()
	began, late := time.Now(), false
	if files := pair(name, cert, key); t.trigger.torn {
		t.put(files[0])
		t.stays("with half a pair")
		t.trigger.write(t, files[1:])
		if late = time.Since(began) > patience; late {
			t.HangUp() // the one before may have been answered
		}
	} else {
		t.put(files...)
	}
	t.Eventually("the pair to be taken", func() error {
		if s := t.Status(); s.Generation.Number == generation {
			return fmt.Errorf("%+v", s.LastReload)
		}
		return nil
	})
	if n := t.Rejected(); n != before && !late {
		t.Errorf("half a pair: %d reloads were rejected", n-before)
	}
}

func TestTableOfRotations(t *testing.T) {
	t.Parallel()
	port := testkit.FreePort(t)
	dir := harness.ShortDir(t)
	one := harness.NewACMEAuthority(t, dir, acmetest.Options{TLSPort: port})
	two := harness.NewACMEAuthority(t, dir, acmetest.Options{TLSPort: port})
	for _, tr := range triggers {
		// One after the other: the authorities ask on one port.
		t.Run(tr.name, func(t *testing.T) {
			r := newRotationTable(t, tr, one, two, port)
			for _, kind := range rotations {
				t.Run(kind.name, func(t *testing.T) {
					r.T, r.Gateway.T = t, t
					streams := r.streams("public", harness.WithCertificate(r.me))
					kind.rotate(r)
					for _, o := range streams {
						o.Finish()
					}
				})
			}
			r.T, r.Gateway.T = t, t
		})
	}
}

// streams opens one of everything over each version of HTTP, to the upstream of
// the same version. The listener is believed if the first CA has signed it,
// unless edit says otherwise.
func (t *rotationTable) streams(listener string, edit func(*cryptotls.Config)) (all []*harness.Opened) {
	t.Helper()
	for _, protocol := range harness.Transports {
		hc, _ := harness.ClientOf(t, protocol, t.serverCA.PEM(), edit)
		all = append(all, harness.Open(t, t.upstreams.api, "https://"+t.Address(listener)+apiOver(protocol), protocol, hc))
	}
	return all
}
