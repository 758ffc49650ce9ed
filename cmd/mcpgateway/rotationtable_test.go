package main_test

import (
	cryptotls "crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

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
	put  func(t *rotationTable, files []file)
}

var triggers = []trigger{
	{"signal", true, func(t *rotationTable, files []file) {
		for _, f := range files {
			writeFile(t, t.dir, f.name, f.data)
		}
		t.hup()
	}},
	{"in place", true, func(t *rotationTable, files []file) {
		for _, f := range files {
			writeFile(t, t.dir, f.name, f.data)
		}
	}},
	{"rename", true, func(t *rotationTable, files []file) {
		for _, f := range files {
			writeFile(t, t.dir, "new.tmp", f.data)
			if err := os.Rename(filepath.Join(t.dir, "new.tmp"), filepath.Join(t.dir, f.name)); err != nil {
				t.Fatal(err)
			}
		}
	}},
	// As Kubernetes mounts secrets: every name leads through one link.
	{"symlink swap", false, (*rotationTable).swap},
}

// rotationTable is a gateway with all that can be rotated.
type rotationTable struct {
	*testing.T
	*gateway
	dir     string
	trigger trigger
	current map[string][]byte // behind ..data
	swaps   int

	serverCA, upstreamCA, a, b *tlstest.CA
	shown                      atomic.Pointer[cryptotls.Certificate] // by the upstream
	api                        *plainAPI
	me                         cryptotls.Certificate // of b, which stays
	config                     func(directory string) string
	one, two                   authority
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
		writeFile(t, filepath.Join(t.dir, fresh), name, data)
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
func (t *rotationTable) put(files ...file) { t.Helper(); t.trigger.put(t, files) }

// pair is a certificate and then its key.
func pair(name string, cert, key []byte) []file {
	return []file{{name + ".crt", cert}, {name + ".key", key}}
}

func (t *rotationTable) crl(revoked ...[]byte) file {
	soon := time.Now().Add(time.Hour)
	return file{"clients.crl", slices.Concat(t.a.CRL(t, soon, revoked...), t.b.CRL(t, soon))}
}

func newRotationTable(t *testing.T, tr trigger, one, two authority, port int) *rotationTable {
	t.Helper()
	r := &rotationTable{T: t, dir: shortDir(t), trigger: tr, current: map[string][]byte{}, one: one, two: two, api: &plainAPI{},
		serverCA: tlstest.NewCA(t, "servers"), upstreamCA: tlstest.NewCA(t, "upstreams"), a: tlstest.NewCA(t, "a"), b: tlstest.NewCA(t, "b")}
	r.me = certificateOf(r.b.Client(t, "me"))(t)
	cert, key := r.upstreamCA.Server(t, "localhost", "127.0.0.1")
	shown := tlstest.Certificate(t, cert, key)
	r.shown.Store(&shown)
	upstream := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if strings.HasSuffix(q.URL.Path, "/who") {
			w.Header().Set("Connection", "close") // the next one is another handshake
			fmt.Fprint(w, q.TLS.PeerCertificates[0].Subject.CommonName)
			return
		}
		r.api.ServeHTTP(w, q)
	}))
	upstream.TLS = &cryptotls.Config{SessionTicketsDisabled: true, ClientAuth: cryptotls.RequireAnyClientCert, GetCertificate: func(*cryptotls.ClientHelloInfo) (*cryptotls.Certificate, error) { return r.shown.Load(), nil }}
	upstream.StartTLS()
	t.Cleanup(upstream.Close)

	serverCert, serverKey := r.serverCA.Server(t, "localhost", "127.0.0.1")
	clientCert, clientKey := r.a.Client(t, "gateway")
	svid, svidKey, bundle := r.svid("/gateway")
	files := slices.Concat(pair("server", serverCert, serverKey), pair("client", clientCert, clientKey), pair("svid", svid, svidKey),
		[]file{{"upstream.crt", r.upstreamCA.PEM()}, {"clients.crt", slices.Concat(r.a.PEM(), r.b.PEM())}, r.crl(), {"bundle.crt", bundle}, {"acme.crt", slices.Concat(one.CA, two.CA)}})
	if tr.torn {
		for _, f := range files {
			writeFile(t, r.dir, f.name, f.data)
		}
	} else {
		r.swap(files)
	}
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
  - {match: {path_prefix: /api}, listeners: [public], cluster: api, timeout: 0s}
  - {match: {path_prefix: /}, listeners: [all], respond: {body: "here"}}
clusters:
  - name: api
    endpoints: ["%s"]
    idle_timeout: 50ms # what is believed is seen by new connections
    tls: {ca_cert: upstream.crt, client_cert: client.crt, client_key: client.key, server_name: localhost}
`, tr.name != "signal", directory, port, acmeName, upstream.URL)
	}
	r.gateway = start(t, r.dir, r.config(one.Directory))
	return r
}

// certificateOf lets the two results of a CA's method be one argument.
func certificateOf(cert, key []byte) func(testing.TB) cryptotls.Certificate {
	return func(t testing.TB) cryptotls.Certificate { return tlstest.Certificate(t, cert, key) }
}

// svid is an identity as an SPIFFE helper writes it, of a CA of its own.
func (t *rotationTable) svid(path string) (cert, key, bundle []byte) {
	ca := tlstest.NewCA(t, "example.org")
	cert, key = ca.Issue(t, spiffetest.Template(t, tlstest.Template(t, ""), "spiffe://example.org"+path))
	return cert, key, ca.PEM()
}

// sees makes one handshake, with one request, over a version of HTTP. nil
// roots believe anybody.
func (t *rotationTable) sees(protocol, listener, path string, roots []byte, edit func(*cryptotls.Config)) (body string, leaf *x509.Certificate, err error) {
	c, _ := clientOf(t, protocol, t.serverCA.PEM(), func(cfg *cryptotls.Config) {
		if cfg.ServerName = "localhost"; edit != nil {
			edit(cfg)
		}
		if roots == nil {
			cfg.InsecureSkipVerify = true
		}
	})
	defer c.CloseIdleConnections()
	status, body, state, err := ask(c, "https://"+t.address(listener)+path, "")
	if err != nil {
		return "", nil, err
	}
	if status != http.StatusOK {
		return "", nil, fmt.Errorf("%d %s", status, body)
	}
	return body, state.PeerCertificates[0], nil
}

// public is sees on the first listener, as somebody that stays.
func (t *rotationTable) public(protocol, path string) (string, *x509.Certificate, error) {
	return t.sees(protocol, "public", path, t.serverCA.PEM(), with(t.me))
}

// everywhere waits until a check holds over each version of HTTP.
func (t *rotationTable) everywhere(what string, check func(protocol string) error) {
	t.Helper()
	for _, protocol := range transports {
		t.eventually(what+" over "+protocol, func() error { return check(protocol) })
	}
}

// stays checks that what was there is there, over each version of HTTP.
func (t *rotationTable) stays(when string) {
	t.Helper()
	for _, protocol := range transports {
		if body, _, err := t.public(protocol, "/api/who"); err != nil || body == "" {
			t.Errorf("%s, over %s: %q, %v", when, protocol, body, err)
		}
	}
}

// breaks writes rubbish in a file's place: it is refused, and the old content
// stays in force.
func (t *rotationTable) breaks(name string, old []byte) {
	t.Helper()
	t.put(file{name, []byte("rubbish\n")})
	t.eventually("the rubbish to be refused", func() error {
		if r := t.status().LastReload; r == nil || r.Result != "rejected" || len(r.Errors) == 0 {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
	t.stays("with rubbish in " + name)
	t.put(file{name, old})
	t.eventually("the old content to be taken again", func() error {
		if r := t.status().LastReload; r.Result == "rejected" {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
}

// replace rotates a pair, with a pause between the halves where there is one.
func (t *rotationTable) replace(name string, cert, key []byte) {
	t.Helper()
	if t.trigger.torn && t.trigger.name != "signal" {
		t.put(file{name + ".crt", cert})
		t.stays("with half a pair")
		t.put(file{name + ".key", key})
		return
	}
	t.put(pair(name, cert, key)...)
}

func TestTableOfRotations(t *testing.T) {
	t.Parallel()
	port := acmetest.FreePorts(t, 1)[0]
	dir := shortDir(t)
	one := newAuthority(t, dir, acmetest.Options{TLSPort: port})
	two := newAuthority(t, dir, acmetest.Options{TLSPort: port})
	for _, tr := range triggers {
		// One after the other: the authorities ask on one port.
		t.Run(tr.name, func(t *testing.T) {
			r := newRotationTable(t, tr, one, two, port)
			for _, kind := range []struct {
				name   string
				rotate func(*rotationTable)
			}{
				{"server pair", (*rotationTable).serverPair}, {"client pair", (*rotationTable).clientPair},
				{"server CA", (*rotationTable).serverAuthority}, {"CRL", (*rotationTable).revocation},
				{"client CA", (*rotationTable).clientAuthority}, {"SPIFFE bundle", (*rotationTable).spiffeBundle},
				{"ACME issuer", (*rotationTable).acmeIssuer},
			} {
				t.Run(kind.name, func(t *testing.T) {
					r.T = t
					var streams []*opened
					for _, protocol := range transports {
						hc, _ := clientOf(t, protocol, r.serverCA.PEM(), with(r.me))
						streams = append(streams, open(t, r.api, "https://"+r.address("public")+"/api", protocol, hc))
					}
					kind.rotate(r)
					for _, s := range streams {
						s.finish()
					}
				})
			}
		})
	}
}

func (t *rotationTable) serverPair() {
	t.breaks("server.crt", read(t, t.dir, "server.crt"))
	cert, key := t.serverCA.Server(t, "localhost", "127.0.0.1")
	want := certificateOf(cert, key)(t).Leaf
	t.replace("server", cert, key)
	t.everywhere("the new certificate", func(protocol string) error {
		if _, leaf, err := t.public(protocol, "/"); err != nil {
			return fatal{err}
		} else if !leaf.Equal(want) {
			return fmt.Errorf("serial %X", leaf.SerialNumber)
		}
		return nil
	})
}

func (t *rotationTable) clientPair() {
	t.breaks("client.key", read(t, t.dir, "client.key"))
	cert, key := t.a.Client(t, "gateway anew")
	t.replace("client", cert, key)
	t.everywhere("the new identity", func(protocol string) error {
		if body, _, err := t.public(protocol, "/api/who"); err != nil {
			return fatal{err}
		} else if body != "gateway anew" {
			return fmt.Errorf("the upstream saw %s", body)
		}
		return nil
	})
}

func (t *rotationTable) serverAuthority() {
	t.breaks("upstream.crt", read(t, t.dir, "upstream.crt"))
	ca := tlstest.NewCA(t, "upstreams anew")
	shown := certificateOf(ca.Server(t, "localhost", "127.0.0.1"))(t)
	old := t.shown.Swap(&shown)
	refused := func(protocol string) error {
		if body, _, err := t.public(protocol, "/api/who"); err == nil {
			return fmt.Errorf("it was believed: %s", body)
		}
		return nil
	}
	t.everywhere("an upstream of an unknown CA to be refused", refused)
	t.put(file{"upstream.crt", ca.PEM()})
	t.everywhere("the new CA to be believed", func(protocol string) error {
		_, _, err := t.public(protocol, "/api/who")
		return err
	})
	t.shown.Store(old)
	t.everywhere("an upstream of the old CA to be refused", refused)
	t.shown.Store(&shown)
}

func (t *rotationTable) revocation() {
	t.breaks("clients.crl", read(t, t.dir, "clients.crl"))
	cert, key := t.a.Client(t, "revoked")
	bad, good := certificateOf(cert, key)(t), certificateOf(t.a.Client(t, "good"))(t)
	for _, protocol := range transports {
		if _, _, err := t.sees(protocol, "public", "/", t.serverCA.PEM(), with(bad)); err != nil {
			t.Errorf("before it is revoked, over %s: %v", protocol, err)
		}
	}
	t.put(t.crl(cert))
	t.everywhere("the revoked client to be refused", func(protocol string) error {
		if _, _, err := t.sees(protocol, "public", "/", t.serverCA.PEM(), with(good)); err != nil {
			return fatal{fmt.Errorf("the other client: %w", err)}
		}
		if _, _, err := t.sees(protocol, "public", "/", t.serverCA.PEM(), with(bad)); err == nil {
			return errors.New("it gets in")
		}
		return nil
	})
}

func (t *rotationTable) clientAuthority() {
	t.breaks("clients.crt", read(t, t.dir, "clients.crt"))
	old := certificateOf(t.a.Client(t, "old"))(t)
	t.a = tlstest.NewCA(t, "c")
	fresh := certificateOf(t.a.Client(t, "new"))(t)
	t.put(file{"clients.crt", slices.Concat(t.a.PEM(), t.b.PEM())}, t.crl())
	t.everywhere("the new CA's clients, and not the old one's", func(protocol string) error {
		if _, _, err := t.sees(protocol, "public", "/", t.serverCA.PEM(), with(fresh)); err != nil {
			return err
		}
		if _, _, err := t.sees(protocol, "public", "/", t.serverCA.PEM(), with(old)); err == nil {
			return errors.New("an old one gets in")
		}
		return nil
	})
}

func (t *rotationTable) spiffeBundle() {
	old := certificateOf(read(t, t.dir, "svid.crt"), read(t, t.dir, "svid.key"))(t)
	t.breaks("bundle.crt", read(t, t.dir, "bundle.crt"))
	cert, key, bundle := t.svid("/gateway")
	t.put(append(pair("svid", cert, key), file{"bundle.crt", bundle})...)
	fresh := certificateOf(cert, key)(t)
	t.everywhere("the new bundle", func(protocol string) error {
		_, leaf, err := t.sees(protocol, "mesh", "/", nil, with(fresh))
		if err != nil {
			return err
		}
		if !leaf.Equal(fresh.Leaf) {
			return errors.New("the old SVID is shown")
		}
		if _, _, err := t.sees(protocol, "mesh", "/", nil, with(old)); err == nil {
			return errors.New("a workload of the old bundle gets in")
		}
		return nil
	})
}

func (t *rotationTable) acmeIssuer() {
	issued := func(roots *x509.CertPool) func(string) error {
		return func(protocol string) error {
			_, _, err := t.sees(protocol, "acme", "/", []byte{}, func(cfg *cryptotls.Config) { cfg.ServerName, cfg.RootCAs = acmeName, roots })
			return err
		}
	}
	t.everywhere("the first issuer's certificate", issued(t.one.Roots()))
	admin := "\nadmin: {address: \"unix:" + filepath.Join(t.dir, "a.sock") + "\"}\n"
	t.breaks("config.yaml", []byte(t.config(t.one.Directory)+admin))
	t.put(file{"config.yaml", []byte(t.config(t.two.Directory) + admin)})
	t.everywhere("the second issuer's certificate", issued(t.two.Roots()))
}
