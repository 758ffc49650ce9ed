package tls

import (
	cryptotls "crypto/tls"
	"fmt"
	"runtime"
	"testing"
	"weak"

	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// policies is a listener with so many policies, and their server names.
func policies(t *testing.T, n int) (cfg *ServerConfig, names []string) {
	ca := tlstest.NewCA(t, "CA")
	cfg = &ServerConfig{Certificates: []KeyPair{pair(ca.Server(t, "localhost"))}}
	for i := range n {
		name := fmt.Sprintf("%d.test", i)
		names = append(names, name)
		cfg.Policies = append(cfg.Policies, Policy{Hosts: []string{name}})
	}
	return cfg, names
}

// ask is what a ClientHello gets to see.
func ask(t *testing.T, server *cryptotls.Config, name string) *cryptotls.Config {
	t.Helper()
	cfg, err := server.GetConfigForClient(&cryptotls.ClientHelloInfo{ServerName: name})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestEachOfManyPoliciesIsBuiltOnce(t *testing.T) {
	cfg, names := policies(t, 100)
	server := NewServer(snapshot(t, cfg, nil))
	tcp, quic := server.Config([]string{"h2"}), server.Config([]string{"h3"})
	built := map[string]*cryptotls.Config{}
	for range 2 {
		for _, name := range names {
			one, other := ask(t, tcp, name), ask(t, quic, name)
			if one.NextProtos[0] != "h2" || other.NextProtos[0] != "h3" {
				t.Fatalf("%s: TCP offers %v, QUIC %v", name, one.NextProtos, other.NextProtos)
			}
			if before := built[name]; before != nil && before != one {
				t.Fatalf("%s was built anew", name)
			}
			built[name] = one
		}
	}
}

// No client has to shake hands for it, on either protocol.
func TestAReplacedSnapshotTakesItsPrivateKeysAlong(t *testing.T) {
	cfg, names := policies(t, 3)
	server := NewServer(snapshot(t, cfg, nil))
	tcp, quic := server.Config([]string{"h2"}), server.Config([]string{"h3"})
	var old []weak.Pointer[Identity]
	for _, name := range names {
		ask(t, tcp, name)
		ask(t, quic, name)
		old = append(old, weak.Make(server.Snapshot().policyFor(name).certificates[0].identity))
	}
	server.Swap(snapshot(t, cfg, server.Snapshot()))
	runtime.GC()
	for i, identity := range old {
		if identity.Value() != nil {
			t.Errorf("the identity of %s is still there", names[i])
		}
	}
	runtime.KeepAlive(tcp)
	runtime.KeepAlive(quic)
}
