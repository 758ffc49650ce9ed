package main_test

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
)

// Connections of HTTP/3 that do nothing weigh something, and nothing once they
// are gone, whether they said goodbye or not.
func TestAThousandIdleHTTP3ConnectionsAreGivenBack(t *testing.T) {
	const connections = 1000
	e := newEdge(t, func(e *edge) {
		e.cluster = "idle_timeout: 500ms" // upstream connections are another matter
		// No client is given up before all are there, however slow the machine is.
		e.listener = "min_version: \"1.2\"\n    limits: {idle_timeout: 5m, max_connections_per_address: 0}"
	})
	to, err := net.ResolveUDPAddr("udp4", e.address("public"))
	if err != nil {
		t.Fatal(err)
	}
	dial := func(from *quic.Transport) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		conn, err := from.Dial(ctx, to, &cryptotls.Config{RootCAs: e.ca.Pool(), ServerName: "localhost", NextProtos: []string{"h3"}}, &quic.Config{MaxIdleTimeout: 10 * time.Second, KeepAlivePeriod: 2 * time.Second})
		if err != nil {
			t.Errorf("dialling: %v", err)
			return
		}
		hc := &http.Client{Transport: (&http3.Transport{}).NewClientConn(conn)}
		if status, _, _, err := ask(hc, "https://localhost/api/ok", ""); err != nil || status != http.StatusOK {
			t.Errorf("asking: %d, %v", status, err)
		}
	}
	first := udpSocket(t)
	dial(first)
	var before, during weight
	e.eventually("the process to rest", func() (err error) { before, err = e.weigh(); return err })
	var all sync.WaitGroup
	from := []*quic.Transport{udpSocket(t), udpSocket(t)}
	for i := range 10 {
		all.Go(func() {
			for range connections / 10 {
				dial(from[i%2])
			}
		})
	}
	all.Wait()
	if n := e.status().Listeners[0].Connections; n < connections {
		t.Errorf("%d connections are open, want %d", n, connections)
	}
	if during, err = e.weigh(); err != nil {
		t.Fatal(err)
	}
	from[0].Close()      // each says goodbye
	from[1].Conn.Close() // the others say nothing: they time out, as was agreed with them
	e.eventually("half of them to be gone", func() error {
		if n := e.status().Listeners[0].Connections; n > connections/2+1 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	deadline := time.Now().Add(40 * time.Second)
	for e.status().Listeners[0].Connections > 1 && time.Now().Before(deadline) {
		time.Sleep(100 * time.Millisecond)
	}
	after := e.settlesAt(before)
	t.Logf("before: %+v, with %d connections: %+v, after: %+v", before, connections, during, after)
	if during.descriptors > before.descriptors+connections/10 {
		t.Errorf("connections hold descriptors: %d, before %d", during.descriptors, before.descriptors)
	}
}
