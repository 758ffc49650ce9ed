package clusters_test

import (
	"net/http"
	"testing"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// The server closes each connection after its answer, without having said so.
// A POST that follows at once meets an end that the gateway has not read yet.
func TestAPostNeverGoesOntoAConnectionThatTheServerHasClosed(t *testing.T) {
	ca := tlstest.NewCA(t, "CA")
	plain, secure := serve(t, "", nil, http.HandlerFunc(echo)), serve(t, "", ca, http.HandlerFunc(echo))
	overTLS := cluster(t, "tls", "https://"+secure.addr)
	overTLS.TLS = identity(t, ca, "client")
	overTLS.Protocols = []string{"http/1.1"}
	s := newSet(t, clusters.Options{}, cluster(t, "plain", "http://"+plain.addr), overTLS)
	for name, server := range map[string]*peer{"plain": plain, "tls": secure} {
		e := get(t, s, name).Endpoints()[0]
		for i := range 100 {
			res, err := e.RoundTrip(request(t, http.MethodPost, "/", "call"))
			if err != nil {
				t.Fatalf("%s, request %d: %v", name, i, err)
			}
			read(t, res)
			server.cut()
		}
	}
}
