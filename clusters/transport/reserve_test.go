package transport_test

import (
	"errors"
	"os"
	"testing"

	"github.com/mcpgateway/mcpgateway/clusters/peertest"
	reserve "github.com/mcpgateway/mcpgateway/internal/descriptors"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// A connection of HTTP/3 has a descriptor of its own, as one over TCP has.
func TestNoConnectionToAnUpstreamTakesTheLastDescriptors(t *testing.T) {
	// What another test closes late would give a low number to a connection.
	peertest.Eventually(t, "earlier tests have closed what they opened", func() bool { return peertest.Descriptors(t) < 16 })
	ca := tlstest.NewCA(t, "CA")
	over2, over3 := peertest.Serve(t, "", ca, peertest.Everything()), peertest.ServeHTTP3(t, "", ca, peertest.Everything())
	tcp := cluster(t, "tcp", "https://"+over2.Addr)
	tcp.TLS = peertest.Identity(t, ca, "client")
	const limit = 65 // of which upstreams may have some 33
	for range limit {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
	}
	for _, cfg := range []upstream{tcp, http3Cluster(t, "quic", over3, ca)} {
		cfg.Reserve = reserve.New(limit)
		if res, err := connect(t, cfg).RoundTrip(peertest.Request(t, "GET", "/", "")); !errors.Is(err, reserve.ErrExhausted) {
			t.Errorf("%s: %v", cfg.Name, err)
			if err == nil {
				peertest.Read(t, res)
			}
		}
	}
}
