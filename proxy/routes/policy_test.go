package routes

import (
	"testing"

	"github.com/mcpgateway/mcpgateway/internal/hostname"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/tls"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// A route and a TLS policy of the same words are about the same hosts: else the
// route would serve clients that the policy never saw.
func TestHostsMeanTheSameToRoutesAndToPolicies(t *testing.T) {
	cert, key := tlstest.NewCA(t, "CA").Server(t, "localhost")
	pairs := []tls.KeyPair{{Cert: config.File{Path: "cert", Data: cert}, Key: config.Secret{File: config.File{Path: "key", Data: key}}}}
	for _, pattern := range []string{"partners.test", "*.partners.test", "*.PARTNERS.test", "a.partners.test", "*.test"} {
		route, err := hostname.ParsePattern(pattern)
		if err != nil {
			t.Fatal(err)
		}
		snapshot, err := tls.NewServerSnapshot(&tls.ServerConfig{
			Certificates: pairs, MinVersion: "1.2", Policies: []tls.Policy{{Hosts: []string{pattern}}},
		}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, host := range []string{"partners.test", "a.partners.test", "A.b.Partners.test", "a.partners.test.", "xpartners.test", "test", "partners.test.x", "*.partners.test", ""} {
			canonical, ok := hostname.Canonical(host)
			matches := ok && route.Matches(canonical)
			if policy := !snapshot.SamePolicy(host, "elsewhere.invalid"); ok && policy != matches {
				t.Errorf("%s and %s: route %v, policy %v", pattern, host, matches, policy)
			}
		}
	}
}
