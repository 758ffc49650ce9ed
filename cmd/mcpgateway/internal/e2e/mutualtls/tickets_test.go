package mutualtls_test

import (
	cryptotls "crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// resumes makes a handshake with the tickets, and reports whether one of them
// was taken. It is a client each time.
func resumes(f *harness.Front, protocol string, tickets *harness.TicketCache, listener, sni string, certs ...cryptotls.Certificate) bool {
	f.T.Helper()
	client, _ := harness.ClientOf(f.T, protocol, f.CA.PEM(), func(cfg *cryptotls.Config) {
		cfg.ServerName, cfg.ClientSessionCache, cfg.Certificates = sni, tickets, certs
	})
	_, _, state, err := harness.Ask(client, f.URL(listener, "/"), sni)
	if err != nil {
		f.T.Fatalf("%s: %s as %s: %v", protocol, listener, sni, err)
	}
	tickets.Await(f.T)
	return state.DidResume
}

func TestTicketsAreWorthNothingUnderAnotherPolicy(t *testing.T) {
	t.Parallel()
	f := harness.NewFront(t)
	partner, _ := f.Identity("partner")
	for _, protocol := range harness.Transports {
		tickets := harness.NewTicketCache()
		if resumes(f, protocol, tickets, "open", "localhost", partner); !resumes(f, protocol, tickets, "open", "localhost", partner) {
			t.Fatalf("%s: nothing was resumed; the test shows nothing", protocol)
		}
		if resumes(f, protocol, tickets, "strict", "localhost", partner) {
			t.Errorf("%s: a ticket of the open listener resumed on the strict one", protocol)
		}
		tickets = harness.NewTicketCache()
		resumes(f, protocol, tickets, "open", "localhost", partner)
		if resumes(f, protocol, tickets, "open", "partners.test", partner) {
			t.Errorf("%s: a ticket of the open policy resumed on the strict one", protocol)
		}
		tickets = harness.NewTicketCache()
		resumes(f, protocol, tickets, "strict", "localhost", partner)
		if resumes(f, protocol, tickets, "open", "partners.test", partner) {
			t.Errorf("%s: a ticket of one strict policy resumed on another", protocol)
		}
	}
}

// Where a certificate is asked for and not demanded, crypto/tls resumes without
// one: only the keys keep such a ticket out.
func TestTicketsOfStrangersAreWorthNothingWhereTheyAreAsked(t *testing.T) {
	t.Parallel()
	f := harness.NewFront(t)
	before := map[string]*harness.TicketCache{}
	for _, protocol := range harness.Transports {
		tickets := harness.NewTicketCache()
		if resumes(f, protocol, tickets, "open", "localhost"); !resumes(f, protocol, tickets, "open", "localhost") {
			t.Fatalf("%s: nothing was resumed; the test shows nothing", protocol)
		}
		if resumes(f, protocol, tickets, "open", "guests.test") {
			t.Errorf("%s: a ticket of the open policy resumed on the one that asks", protocol)
		}
		if !resumes(f, protocol, tickets, "open", "guests.test") {
			t.Errorf("%s: the policy that asks does not resume its own tickets", protocol)
		}
		before[protocol] = harness.NewTicketCache()
		resumes(f, protocol, before[protocol], "open", "localhost")
	}
	// The listener itself asks from now on, behind the same socket.
	f.MustApply(strings.Replace(f.Config, "      policies:", "      client_auth: {mode: request, ca_cert: clients.crt}\n      policies:", 1))
	for _, protocol := range harness.Transports {
		if resumes(f, protocol, before[protocol], "open", "localhost") {
			t.Errorf("%s: a ticket from before resumed on the listener that asks now", protocol)
		}
		if !resumes(f, protocol, before[protocol], "open", "localhost") {
			t.Errorf("%s: the listener that asks now does not resume its own tickets", protocol)
		}
	}
}

// The clients come back with a ticket, after the certificate of one was revoked
// or its CA removed.
func TestResumedHandshakesMeetTheNewTrust(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		// stays is of the CA of the one that does not, or of the other.
		stays  func(f *harness.Front, other *tlstest.CA) *tlstest.CA
		change func(f *harness.Front, other *tlstest.CA, cert []byte)
	}{
		{"revoked", func(f *harness.Front, _ *tlstest.CA) *tlstest.CA { return f.Clients },
			func(f *harness.Front, other *tlstest.CA, cert []byte) {
				trust(f, []*tlstest.CA{f.Clients, other}, cert)
			}},
		{"CA removed", func(_ *harness.Front, other *tlstest.CA) *tlstest.CA { return other },
			func(f *harness.Front, other *tlstest.CA, _ []byte) { trust(f, []*tlstest.CA{other}) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f, other := harness.NewFront(t), tlstest.NewCA(t, "other clients")
			trust(f, []*tlstest.CA{f.Clients, other})
			f.MustReload()
			goes, cert := f.Identity("goes")
			stays := harness.CertificateOf(c.stays(f, other).Client(t, "stays"))(t)
			tickets := map[string]*harness.TicketCache{}
			fresh := func(protocol string, me cryptotls.Certificate) *http.Client {
				client, _ := harness.ClientOf(t, protocol, f.CA.PEM(), func(cfg *cryptotls.Config) {
					cfg.ClientSessionCache, cfg.Certificates = tickets[protocol+me.Leaf.Subject.CommonName], []cryptotls.Certificate{me}
				})
				return client
			}
			open := map[string]*http.Client{}
			for _, protocol := range harness.Transports {
				for _, me := range []cryptotls.Certificate{goes, stays} {
					who := protocol + me.Leaf.Subject.CommonName
					tickets[who] = harness.NewTicketCache()
					for n := range 2 {
						open[who] = fresh(protocol, me)
						_, _, state, err := harness.Ask(open[who], f.URL("strict", "/"), "localhost")
						if err != nil {
							t.Fatalf("%s: %v", who, err)
						}
						tickets[who].Await(t)
						if state.DidResume != (n == 1) {
							t.Fatalf("%s: handshake %d resumed: %v", who, n, state.DidResume)
						}
					}
				}
			}
			c.change(f, other, cert)
			f.MustReload()
			for _, protocol := range harness.Transports {
				if got, _, _, err := harness.Ask(fresh(protocol, goes), f.URL("strict", "/"), "localhost"); err == nil {
					t.Errorf("%s: the client came back and got %d", protocol, got)
				}
				// Nor does the connection stay that was open.
				f.Eventually(protocol+": the open connection to end", func() error {
					if _, _, _, err := harness.Ask(open[protocol+"goes"], f.URL("strict", "/"), "localhost"); err == nil {
						return fmt.Errorf("it still answers")
					}
					return nil
				})
				for what, client := range map[string]*http.Client{"an open connection": open[protocol+"stays"], "a ticket": fresh(protocol, stays)} {
					if got, _, _, err := harness.Ask(client, f.URL("strict", "/"), "localhost"); err != nil || got != http.StatusOK {
						t.Errorf("%s: the client that is trusted still came with %s, and got %d, %v", protocol, what, got, err)
					}
				}
			}
		})
	}
}

// trust writes who signs clients, and which of them the first has revoked.
func trust(f *harness.Front, authorities []*tlstest.CA, revoked ...[]byte) {
	f.T.Helper()
	var certs, lists []byte
	for i, ca := range authorities {
		certs = append(certs, ca.PEM()...)
		if i > 0 {
			revoked = nil
		}
		lists = append(lists, ca.CRL(f.T, time.Now().Add(time.Hour), revoked...)...)
	}
	harness.WriteFile(f.T, f.Dir, "clients.crt", certs)
	harness.WriteFile(f.T, f.Dir, "clients.crl", lists)
}
