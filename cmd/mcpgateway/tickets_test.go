package main_test

import (
	cryptotls "crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// resumes makes a handshake with the tickets, and reports whether one of them
// was taken. It is a client each time.
func (f *front) resumes(protocol string, tickets *drawer, listener, sni string, certs ...cryptotls.Certificate) bool {
	f.t.Helper()
	client, _ := clientOf(f.t, protocol, f.ca.PEM(), func(cfg *cryptotls.Config) {
		cfg.ServerName, cfg.ClientSessionCache, cfg.Certificates = sni, tickets, certs
	})
	_, _, state, err := ask(client, f.url(listener, "/"), sni)
	if err != nil {
		f.t.Fatalf("%s: %s as %s: %v", protocol, listener, sni, err)
	}
	tickets.await(f.t)
	return state.DidResume
}

func TestTicketsAreWorthNothingUnderAnotherPolicy(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	partner, _ := f.identity("partner")
	for _, protocol := range transports {
		tickets := newDrawer()
		if f.resumes(protocol, tickets, "open", "localhost", partner); !f.resumes(protocol, tickets, "open", "localhost", partner) {
			t.Fatalf("%s: nothing was resumed; the test shows nothing", protocol)
		}
		if f.resumes(protocol, tickets, "strict", "localhost", partner) {
			t.Errorf("%s: a ticket of the open listener resumed on the strict one", protocol)
		}
		tickets = newDrawer()
		f.resumes(protocol, tickets, "open", "localhost", partner)
		if f.resumes(protocol, tickets, "open", "partners.test", partner) {
			t.Errorf("%s: a ticket of the open policy resumed on the strict one", protocol)
		}
		tickets = newDrawer()
		f.resumes(protocol, tickets, "strict", "localhost", partner)
		if f.resumes(protocol, tickets, "open", "partners.test", partner) {
			t.Errorf("%s: a ticket of one strict policy resumed on another", protocol)
		}
	}
}

// Where a certificate is asked for and not demanded, crypto/tls resumes without
// one: only the keys keep such a ticket out.
func TestTicketsOfStrangersAreWorthNothingWhereTheyAreAsked(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	before := map[string]*drawer{}
	for _, protocol := range transports {
		tickets := newDrawer()
		if f.resumes(protocol, tickets, "open", "localhost"); !f.resumes(protocol, tickets, "open", "localhost") {
			t.Fatalf("%s: nothing was resumed; the test shows nothing", protocol)
		}
		if f.resumes(protocol, tickets, "open", "guests.test") {
			t.Errorf("%s: a ticket of the open policy resumed on the one that asks", protocol)
		}
		if !f.resumes(protocol, tickets, "open", "guests.test") {
			t.Errorf("%s: the policy that asks does not resume its own tickets", protocol)
		}
		before[protocol] = newDrawer()
		f.resumes(protocol, before[protocol], "open", "localhost")
	}
	// The listener itself asks from now on, behind the same socket.
	f.mustApply(strings.Replace(f.config, "      policies:", "      client_auth: {mode: request, ca_cert: clients.crt}\n      policies:", 1))
	for _, protocol := range transports {
		if f.resumes(protocol, before[protocol], "open", "localhost") {
			t.Errorf("%s: a ticket from before resumed on the listener that asks now", protocol)
		}
		if !f.resumes(protocol, before[protocol], "open", "localhost") {
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
		stays  func(f *front, other *tlstest.CA) *tlstest.CA
		change func(f *front, other *tlstest.CA, cert []byte)
	}{
		{"revoked", func(f *front, _ *tlstest.CA) *tlstest.CA { return f.clients },
			func(f *front, other *tlstest.CA, cert []byte) { f.trust([]*tlstest.CA{f.clients, other}, cert) }},
		{"CA removed", func(_ *front, other *tlstest.CA) *tlstest.CA { return other },
			func(f *front, other *tlstest.CA, _ []byte) { f.trust([]*tlstest.CA{other}) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f, other := newFront(t), tlstest.NewCA(t, "other clients")
			f.trust([]*tlstest.CA{f.clients, other})
			f.mustReload()
			goes, cert := f.identity("goes")
			stays := certificateOf(c.stays(f, other).Client(t, "stays"))(t)
			tickets := map[string]*drawer{}
			fresh := func(protocol string, me cryptotls.Certificate) *http.Client {
				client, _ := clientOf(t, protocol, f.ca.PEM(), func(cfg *cryptotls.Config) {
					cfg.ClientSessionCache, cfg.Certificates = tickets[protocol+me.Leaf.Subject.CommonName], []cryptotls.Certificate{me}
				})
				return client
			}
			open := map[string]*http.Client{}
			for _, protocol := range transports {
				for _, me := range []cryptotls.Certificate{goes, stays} {
					who := protocol + me.Leaf.Subject.CommonName
					tickets[who] = newDrawer()
					for n := range 2 {
						open[who] = fresh(protocol, me)
						_, _, state, err := ask(open[who], f.url("strict", "/"), "localhost")
						if err != nil {
							t.Fatalf("%s: %v", who, err)
						}
						tickets[who].await(t)
						if state.DidResume != (n == 1) {
							t.Fatalf("%s: handshake %d resumed: %v", who, n, state.DidResume)
						}
					}
				}
			}
			c.change(f, other, cert)
			f.mustReload()
			for _, protocol := range transports {
				if got, _, _, err := ask(fresh(protocol, goes), f.url("strict", "/"), "localhost"); err == nil {
					t.Errorf("%s: the client came back and got %d", protocol, got)
				}
				// Nor does the connection stay that was open.
				f.eventually(protocol+": the open connection to end", func() error {
					if _, _, _, err := ask(open[protocol+"goes"], f.url("strict", "/"), "localhost"); err == nil {
						return fmt.Errorf("it still answers")
					}
					return nil
				})
				for what, client := range map[string]*http.Client{"an open connection": open[protocol+"stays"], "a ticket": fresh(protocol, stays)} {
					if got, _, _, err := ask(client, f.url("strict", "/"), "localhost"); err != nil || got != http.StatusOK {
						t.Errorf("%s: the client that is trusted still came with %s, and got %d, %v", protocol, what, got, err)
					}
				}
			}
		})
	}
}

// trust writes who signs clients, and which of them the first has revoked.
func (f *front) trust(authorities []*tlstest.CA, revoked ...[]byte) {
	f.t.Helper()
	var certs, lists []byte
	for i, ca := range authorities {
		certs = append(certs, ca.PEM()...)
		if i > 0 {
			revoked = nil
		}
		lists = append(lists, ca.CRL(f.t, time.Now().Add(time.Hour), revoked...)...)
	}
	writeFile(f.t, f.dir, "clients.crt", certs)
	writeFile(f.t, f.dir, "clients.crl", lists)
}
