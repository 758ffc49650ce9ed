package http3_test

import (
	"context"
	cryptotls "crypto/tls"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
)

// Connections of HTTP/3 that do nothing weigh something, and nothing once they
// are gone, whether they said goodbye or not.
func TestAThousandIdleHTTP3ConnectionsAreGivenBack(t *testing.T) {
	const connections = 1000
	e := harness.NewEdge(t, func(e *harness.Edge) {
		e.Cluster = "idle_timeout: 500ms" // upstream connections are another matter
		// No client is given up before all are there, however slow the machine is.
		e.Listener = "min_version: \"1.2\"\n    limits: {idle_timeout: 5m, max_connections_per_address: 0}"
	})
	to, err := net.ResolveUDPAddr("udp4", e.Address("public"))
	if err != nil {
		t.Fatal(err)
	}
	dial := func(from *quic.Transport) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		conn, err := from.Dial(ctx, to, &cryptotls.Config{RootCAs: e.CA.Pool(), ServerName: "localhost", NextProtos: []string{"h3"}}, &quic.Config{MaxIdleTimeout: 10 * time.Second, KeepAlivePeriod: 2 * time.Second})
		if err != nil {
			t.Errorf("dialling: %v", err)
			return
		}
		hc := &http.Client{Transport: (&http3.Transport{}).NewClientConn(conn)}
		if status, _, _, err := harness.Ask(hc, "https://localhost/api/ok", ""); err != nil || status != http.StatusOK {
			t.Errorf("asking: %d, %v", status, err)
		}
	}
	first := harness.UDPSocket(t)
	dial(first)
	var before, during harness.Weight
	e.Eventually("the process to rest", func() (err error) { before, err = e.Weigh(); return err })
	var all sync.WaitGroup
	from := []*quic.Transport{harness.UDPSocket(t), harness.UDPSocket(t)}
	for i := range 10 {
		all.Go(func() {
			for range connections / 10 {
				dial(from[i%2])
			}
		})
	}
	all.Wait()
	if n := e.Status().Listeners[0].Connections; n < connections {
		t.Errorf("%d connections are open, want %d", n, connections)
	}
	if during, err = e.Weigh(); err != nil {
		t.Fatal(err)
	}
	from[0].Close()      // each says goodbye
	from[1].Conn.Close() // the others say nothing: they time out, as was agreed with them
	e.Eventually("half of them to be gone", func() error {
		if n := e.Status().Listeners[0].Connections; n > connections/2+1 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	deadline := time.Now().Add(40 * time.Second)
	for e.Status().Listeners[0].Connections > 1 && time.Now().Before(deadline) {
		time.Sleep(100 * time.Millisecond)
	}
	after := e.SettlesAt(before)
	t.Logf("before: %+v, with %d connections: %+v, after: %+v", before, connections, during, after)
	if during.Descriptors > before.Descriptors+connections/10 {
		t.Errorf("connections hold descriptors: %d, before %d", during.Descriptors, before.Descriptors)
	}
}
