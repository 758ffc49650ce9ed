package acme

import (
	"context"
	cryptotls "crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
	"github.com/miekg/dns"

	"github.com/mcpgateway/mcpgateway/internal/hostname"
	"github.com/mcpgateway/mcpgateway/tls"
)

const httpChallengePath = "/.well-known/acme-challenge/"

// pending are the challenges that this process has asked for.
type pending struct {
	mu   sync.RWMutex
	tls  map[string]tlsChallenge   // by server name
	http map[string]acme.Challenge // by token
}

type tlsChallenge struct {
	token string
	cert  *cryptotls.Certificate
}

func newPending() *pending {
	return &pending{tls: map[string]tlsChallenge{}, http: map[string]acme.Challenge{}}
}

// solver implements acmez.Solver. It opens nothing: the gateway's listeners
// answer.
type solver struct{ *account }

// Present makes a challenge answerable, here and by every gateway that shares
// the storage.
func (s *solver) Present(ctx context.Context, challenge acme.Challenge) error {
	data, err := json.Marshal(challenge)
	if err != nil {
		return err
	}
	if err := s.storage.Store(ctx, s.challengeKey(serverName(challenge)), data); err != nil {
		return fmt.Errorf("store the challenge of %s: %w", challenge.Identifier.Value, err)
	}
	var cert *cryptotls.Certificate
	if challenge.Type == ChallengeTLSALPN01 {
		if cert, err = acmez.TLSALPN01ChallengeCert(challenge); err != nil {
			return err
		}
	}
	s.pending.mu.Lock()
	defer s.pending.mu.Unlock()
	if cert != nil {
		s.pending.tls[serverName(challenge)] = tlsChallenge{challenge.Token, cert}
	} else {
		s.pending.http[challenge.Token] = challenge
	}
	return nil
}

// CleanUp implements acmez.Solver; the context may have ended already.
func (s *solver) CleanUp(ctx context.Context, challenge acme.Challenge) error {
	name := serverName(challenge)
	s.pending.mu.Lock()
	delete(s.pending.http, challenge.Token)
	if s.pending.tls[name].token == challenge.Token {
		delete(s.pending.tls, name)
	}
	s.pending.mu.Unlock()
	ctx = context.WithoutCancel(ctx)
	if stored, err := s.loadChallenge(ctx, name); err == nil && stored.Token != challenge.Token {
		return nil // of a gateway that has taken the lock over
	}
	return s.storage.Delete(ctx, s.challengeKey(name))
}

// dropChallenges removes what an order left behind whose gateway was killed. The
// lock of the name is held, so that no order is under way.
func (s *store) dropChallenges(ctx context.Context, name string) {
	for _, name := range []string{name, reverseName(name)} {
		_ = s.storage.Delete(ctx, s.challengeKey(name)) // there is none, as a rule
	}
}

func (s *store) challengeKey(serverName string) string {
	return path.Join(s.prefix(), "challenge_tokens", certmagic.StorageKeys.Safe(serverName)+".json")
}

// challengeLife is how long a stored challenge is answered: longer than an order
// takes, and than clocks differ. A gateway that was killed leaves its own behind.
const challengeLife = time.Hour

// loadChallenge reads what another gateway has asked for.
func (s *store) loadChallenge(ctx context.Context, incoming string) (acme.Challenge, error) {
	info, err := s.storage.Stat(ctx, s.challengeKey(incoming))
	if err != nil {
		return acme.Challenge{}, err
	}
	if age := time.Since(info.Modified); age > challengeLife {
		return acme.Challenge{}, fmt.Errorf("the stored challenge of %s is %s old", incoming, age.Round(time.Minute))
	}
	data, err := s.storage.Load(ctx, s.challengeKey(incoming))
	if err != nil {
		return acme.Challenge{}, err
	}
	return parseChallenge(data, incoming)
}

// parseChallenge reads a stored challenge that comes in under a name.
func parseChallenge(data []byte, incoming string) (acme.Challenge, error) {
	var challenge acme.Challenge
	if err := json.Unmarshal(data, &challenge); err != nil {
		return acme.Challenge{}, err
	}
	if name := serverName(challenge); name != incoming {
		return acme.Challenge{}, fmt.Errorf("the stored challenge of %s is of %q", incoming, name)
	}
	return challenge, nil
}

// serverName is what a challenge comes in under: for TLS, an address is asked
// for by its reverse name (RFC 8738).
func serverName(challenge acme.Challenge) string {
	if challenge.Type == ChallengeTLSALPN01 {
		return reverseName(challenge.Identifier.Value)
	}
	return strings.ToLower(challenge.Identifier.Value)
}

// reverseName turns an IP address into its name below .arpa; others stay.
func reverseName(name string) string {
	if reverse, err := dns.ReverseAddr(name); err == nil {
		return strings.TrimSuffix(reverse, ".")
	}
	return strings.ToLower(name)
}

// Challenge returns the certificate that answers a TLS-ALPN-01 challenge. The
// handshake must negotiate tls.ALPNChallenge, and the connection ends after it.
func (m *Manager) Challenge(hello *cryptotls.ClientHelloInfo) (*cryptotls.Certificate, error) {
	if !tls.IsChallenge(hello) {
		return nil, errors.New("the handshake is not a TLS-ALPN-01 challenge")
	}
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	m.pending.mu.RLock()
	known, ok := m.pending.tls[name]
	m.pending.mu.RUnlock()
	if ok {
		return known.cert, nil
	}
	if a := m.accountOf(name, ChallengeTLSALPN01); a != nil {
		if challenge, err := a.loadChallenge(context.Background(), name); err == nil && challenge.Type == ChallengeTLSALPN01 {
			return acmez.TLSALPN01ChallengeCert(challenge)
		}
	}
	return nil, fmt.Errorf("no TLS-ALPN-01 challenge of %q is pending", name)
}

// HandleHTTP answers an HTTP-01 challenge. It reports false, and writes
// nothing, for any other request, and for a challenge that is not pending: then
// a server behind the gateway may have asked for it.
func (m *Manager) HandleHTTP(w http.ResponseWriter, r *http.Request) bool {
	token, ok := strings.CutPrefix(r.URL.Path, httpChallengePath)
	if !ok || token == "" || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	host, ok := hostname.Canonical(r.Host)
	if !ok {
		return false
	}
	m.pending.mu.RLock()
	challenge, ok := m.pending.http[token]
	m.pending.mu.RUnlock()
	if !ok {
		a := m.accountOf(host, ChallengeHTTP01)
		if a == nil {
			return false
		}
		var err error
		if challenge, err = a.loadChallenge(r.Context(), host); err != nil {
			return false
		}
	}
	if challenge.Type != ChallengeHTTP01 || challenge.Token != token || !strings.EqualFold(challenge.Identifier.Value, host) {
		return false
	}
	w.Header().Set("Content-Type", "text/plain")
	io.WriteString(w, challenge.KeyAuthorization)
	return true
}

// accountOf is the account, if a name of ours comes in as serverName: for
// TLS-ALPN-01 an address does by its reverse name (RFC 8738 section 6). The
// challenge of another name does not make the gateway read its storage.
func (m *Manager) accountOf(serverName, challenge string) *account {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.account == nil {
		return nil
	}
	if e := m.entries[serverName]; e != nil && e.wanted {
		return m.account
	}
	if challenge == ChallengeTLSALPN01 && strings.HasSuffix(serverName, ".arpa") {
		for name, e := range m.entries {
			if e.wanted && reverseName(name) == serverName {
				return m.account
			}
		}
	}
	return nil
}
