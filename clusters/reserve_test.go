package clusters_test

import (
	"errors"
	"os"
	"testing"

	"github.com/mcpgateway/mcpgateway/clusters"
	reserve "github.com/mcpgateway/mcpgateway/internal/descriptors"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// A connection of HTTP/3 has a descriptor of its own, as one over TCP has.
func TestNoConnectionToAnUpstreamTakesTheLastDescriptors(t *testing.T) {
	ca := tlstest.NewCA(t, "CA")
	over2, over3 := serve(t, "", ca, everything()), serveHTTP3(t, "", ca, everything())
	tcp := cluster(t, "tcp", "https://"+over2.addr)
	tcp.TLS = identity(t, ca, "client")
	const limit = 65 // of which upstreams may have some 33
	for range limit {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
	}
	s := newSet(t, clusters.Options{Reserve: reserve.New(limit)}, tcp, http3Cluster(t, "quic", over3, ca))
	for _, name := range []string{"tcp", "quic"} {
		if res, err := get(t, s, name).RoundTrip(request(t, "GET", "/", "")); !errors.Is(err, reserve.ErrExhausted) {
			t.Errorf("%s: %v", name, err)
			if err == nil {
				read(t, res)
			}
		}
	}
}
