package transport_test

import (
	"net/http"
	"testing"

	"github.com/mcpgateway/mcpgateway/clusters/peertest"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// The server closes each connection after its answer, without having said so.
// A POST that follows at once meets an end that the gateway has not read yet.
func TestAPostNeverGoesOntoAConnectionThatTheServerHasClosed(t *testing.T) {
	ca := tlstest.NewCA(t, "CA")
	plain, secure := peertest.Serve(t, "", nil, http.HandlerFunc(peertest.Echo)), peertest.Serve(t, "", ca, http.HandlerFunc(peertest.Echo))
	overTLS := cluster(t, "tls", "https://"+secure.Addr)
	overTLS.TLS = peertest.Identity(t, ca, "client")
	overTLS.Protocols = []string{"http/1.1"}
	clients := map[string]*client{"plain": connect(t, cluster(t, "plain", "http://"+plain.Addr)), "tls": connect(t, overTLS)}
	for name, server := range map[string]*peertest.Server{"plain": plain, "tls": secure} {
		e := clients[name]
		for i := range 100 {
			res, err := e.RoundTrip(peertest.Request(t, http.MethodPost, "/", "call"))
			if err != nil {
				t.Fatalf("%s, request %d: %v", name, i, err)
			}
			peertest.Read(t, res)
			server.Cut()
		}
	}
}
