package acme

import (
	cryptotls "crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/tls"
	"github.com/mcpgateway/mcpgateway/tls/acme/acmetest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

const name = "gateway.example.com"

var both = []string{ChallengeTLSALPN01, ChallengeHTTP01}

// gateway is a manager behind listeners of both kinds, which an authority sends
// its challenges to.
type gateway struct {
	*Manager
	t      *testing.T
	log    *testkit.Buffer
	events chan string
	http   *http.Server
	tls    net.Listener
	// httpAnswers and tlsAnswers count the challenges answered.
	httpAnswers, tlsAnswers atomic.Int32
	// answering is called while an answer is under way; nil: nothing.
	answering func()
}

func newGateway(t *testing.T) *gateway {
	t.TempDir() // so that the test's directory is removed after the manager ended
	g := &gateway{t: t, log: &testkit.Buffer{}, events: make(chan string, 1000)}
	logger := zerolog.New(g.log)
	g.Manager = NewManager(func() *zerolog.Logger { return &logger }, &Trace{Event: func(e Event) {
		g.events <- strings.TrimSpace(e.Kind + " " + e.Name)
	}})
	g.timing.check = time.Second
	g.timing.retry = 100 * time.Millisecond
	g.timing.problem = 100 * time.Millisecond
	g.timing.longest = 500 * time.Millisecond
	t.Cleanup(func() {
		g.Close()
		if t.Failed() {
			t.Logf("log of the manager:\n%s", g.log)
		}
	})
	return g
}

// listen answers challenges on the ports that a Pebble sends them to.
func (g *gateway) listen(p *acmetest.Pebble) {
	g.t.Helper()
	plain, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p.HTTPPort))
	if err != nil {
		g.t.Fatal(err)
	}
	g.http = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.HandleHTTP(w, r) {
			g.httpAnswers.Add(1)
			g.answered()
			return
		}
		http.NotFound(w, r)
	})}
	raw, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p.TLSPort))
	if err != nil {
		g.t.Fatal(err)
	}
	g.tls = cryptotls.NewListener(raw, &cryptotls.Config{
		NextProtos: []string{"http/1.1", tls.ALPNChallenge},
		GetCertificate: func(hello *cryptotls.ClientHelloInfo) (*cryptotls.Certificate, error) {
			if tls.IsChallenge(hello) {
				cert, err := g.Challenge(hello)
				if err == nil {
					g.tlsAnswers.Add(1)
					g.answered()
				}
				return cert, err
			}
			return g.Certificate(hello.ServerName)
		},
	})
	var serving sync.WaitGroup
	serving.Go(func() { _ = g.http.Serve(plain) })
	serving.Go(func() {
		for {
			conn, err := g.tls.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
				_ = conn.(*cryptotls.Conn).Handshake()
			})
		}
	})
	g.t.Cleanup(func() {
		_ = g.http.Close()
		_ = g.tls.Close()
		serving.Wait()
	})
}

func (g *gateway) answered() {
	if g.answering != nil {
		g.answering()
	}
}

// withAuthority starts a Pebble and a gateway that answers its challenges, and
// returns a configuration for both with an empty storage.
func withAuthority(t *testing.T, o acmetest.Options) (*acmetest.Pebble, *gateway, *Config) {
	t.Helper()
	p, g := acmetest.Start(t, o), newGateway(t)
	g.listen(p)
	return p, g, configFor(t, p, t.TempDir())
}

// accountFor is another gateway of the configuration, whose challenges g answers.
func accountFor(t *testing.T, g *gateway, cfg *Config) *account {
	t.Helper()
	a := newAccount(cfg, newZap(g.Manager.log), g.pending, g.event)
	a.setChallenges(both)
	t.Cleanup(func() { a.cancel(); a.end() })
	return a
}

// accountOf is the account of a gateway that answers no challenge and logs
// nothing.
func accountOf(t *testing.T, cfg *Config) *account {
	t.Helper()
	a := newAccount(cfg, zap.NewNop(), newPending(), func(Event) {})
	t.Cleanup(func() { a.cancel(); a.end() })
	return a
}

// storePair puts a certificate into the storage, as if it had been obtained.
func storePair(t *testing.T, cfg *Config, chain, key []byte) {
	t.Helper()
	a := accountOf(t, cfg)
	for name, data := range map[string][]byte{
		certmagic.StorageKeys.SiteCert(a.issuerKey, name):       chain,
		certmagic.StorageKeys.SitePrivateKey(a.issuerKey, name): key,
		certmagic.StorageKeys.SiteMeta(a.issuerKey, name):       []byte("{}"),
	} {
		if err := a.storage.Store(t.Context(), name, data); err != nil {
			t.Fatal(err)
		}
	}
}

// configFor is a configuration for a Pebble.
func configFor(t *testing.T, p *acmetest.Pebble, storage string) *Config {
	t.Helper()
	return &Config{
		Email: "ops@example.com", Directory: p.Directory, Storage: config.Path(storage),
		CACert: config.File{Path: p.CAFile, Data: p.CA}, Challenges: both,
	}
}

// await waits for an event; others pass by.
func (g *gateway) await(event string) {
	g.t.Helper()
	deadline := time.After(60 * time.Second)
	for {
		select {
		case got := <-g.events:
			if got == event {
				return
			}
		case <-deadline:
			g.t.Fatalf("no event %q", event)
		}
	}
}

// leaf is what a handshake would be answered with.
func (g *gateway) leaf(name string) *x509.Certificate {
	g.t.Helper()
	cert, err := g.Certificate(name)
	if err != nil {
		g.t.Fatal(err)
	}
	return cert.Leaf
}

// handshake returns what a client gets to see, verified against roots.
func (g *gateway) handshake(name string, roots *x509.CertPool) *x509.Certificate {
	g.t.Helper()
	conn, err := cryptotls.Dial("tcp", g.tls.Addr().String(), &cryptotls.Config{ServerName: name, RootCAs: roots})
	if err != nil {
		g.t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0]
}

func (g *gateway) lastError(name string) error {
	for _, s := range g.Status() {
		if s.Name == name {
			return s.LastError
		}
	}
	return errors.New("unknown name")
}

// loadedRenewer has read what is stored, and does nothing by itself.
func loadedRenewer(m *Manager, a *account, name string) *renewer {
	k := newRenewer(m, a, name)
	k.load()
	return k
}
