package proxy

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/mcpgateway/mcpgateway/listeners"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/tls/acme"
)

// acmeNames are the names that listeners want a certificate for by ACME.
func (c *Config) acmeNames() []string {
	var names []string
	for _, l := range c.Listeners {
		if l.TLS == nil {
			continue
		}
		for _, policy := range l.TLS.Resolved() {
			for _, pair := range policy.Certificates {
				for _, name := range pair.ACME {
					names = append(names, strings.ToLower(strings.TrimSuffix(name, ".")))
				}
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// answers reports whether a listener can answer a challenge: TLS-ALPN-01 comes
// with a TLS handshake, HTTP-01 in plain text. One on a unix socket can as well:
// what stands before it hands on what it gets.
func answers(l *listeners.Config, challenge string) bool {
	return (l.TLS != nil) == (challenge == acme.ChallengeTLSALPN01)
}

// acmeChallenges are those of the section that a listener can answer.
func (c *Config) acmeChallenges() []string {
	if c.ACME == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(c.ACME.Challenges), func(challenge string) bool {
		return !slices.ContainsFunc(c.Listeners, func(l listeners.Config) bool { return answers(&l, challenge) })
	})
}

func (c *Config) checkACME(s *config.Scope) {
	if c.ACME == nil {
		for i := range c.Listeners {
			one := Config{Listeners: c.Listeners[i : i+1]}
			if names := one.acmeNames(); len(names) > 0 {
				s.Errorf(fmt.Sprintf("listeners[%d].tls", i), "a certificate for %s by acme needs the section acme", names[0])
			}
		}
		return
	}
	if !s.IsSet("acme.challenges") {
		return // all are offered, and those that no listener can answer are not used
	}
	usable := c.acmeChallenges()
	for i, challenge := range c.ACME.Challenges {
		if !slices.Contains(usable, challenge) {
			s.Errorf(fmt.Sprintf("acme.challenges[%d]", i), "no listener can answer %s: %s", challenge, answerer(challenge))
		}
	}
}

func answerer(challenge string) string {
	if challenge == acme.ChallengeTLSALPN01 {
		return "it needs a listener with tls, which the CA reaches as port 443"
	}
	return "it needs a listener without tls, which the CA reaches as port 80"
}

// answerChallenges answers HTTP-01 before anything else looks at a request.
func answerChallenges(m *acme.Manager, l *listeners.Config, next http.Handler) http.Handler {
	if m == nil || !answers(l, acme.ChallengeHTTP01) {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !m.HandleHTTP(w, r) {
			next.ServeHTTP(w, r)
		}
	})
}
