package http3_test

import (
	"context"
	cryptotls "crypto/tls"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
)

// A replayed tools/call does harm, so no request is taken before the handshake
// has ended.
func TestNoRequestComesIn0RTT(t *testing.T) {
	t.Parallel()
	g, ca, _ := edgeHTTP3(t)
	tickets := harness.NewTicketCache()
	cfg := &cryptotls.Config{RootCAs: ca.Pool(), ServerName: "localhost", NextProtos: []string{"h3"}, ClientSessionCache: tickets}
	for n := range 2 {
		conn, err := quic.DialAddrEarly(t.Context(), g.Address("public"), cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		<-conn.HandshakeComplete()
		state := conn.ConnectionState()
		if n == 0 {
			tickets.Await(t)
		} else if !state.TLS.DidResume {
			t.Error("nothing was resumed; the test shows nothing")
		}
		if state.Used0RTT {
			t.Error("0-RTT was used")
		}
		_ = conn.CloseWithError(0x100, "")
	}
}

// rebinding passes packets on between one client and to, from a port of its
// own, which changes at each move: what a router does to a silent client.
type rebinding struct {
	t      *testing.T
	to     *net.UDPAddr
	front  *net.UDPConn
	client atomic.Pointer[net.UDPAddr]

	mu      sync.Mutex
	back    *net.UDPConn
	running sync.WaitGroup
}

func newRebinding(t *testing.T, to string) *rebinding {
	t.Helper()
	addr, err := net.ResolveUDPAddr("udp4", to)
	if err != nil {
		t.Fatal(err)
	}
	r := &rebinding{t: t, to: addr}
	if r.front, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
		t.Fatal(err)
	}
	r.move()
	r.running.Go(func() {
		for buf := make([]byte, 64<<10); ; {
			n, from, err := r.front.ReadFromUDP(buf)
			if err != nil {
				return
			}
			r.client.Store(from)
			r.mu.Lock()
			_, _ = r.back.Write(buf[:n])
			r.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		r.front.Close()
		r.mu.Lock()
		r.back.Close()
		r.mu.Unlock()
		r.running.Wait()
	})
	return r
}

func (r *rebinding) move() {
	r.t.Helper()
	back, err := net.DialUDP("udp4", nil, r.to)
	if err != nil {
		r.t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.back != nil {
		r.back.Close()
	}
	r.back = back
	r.running.Go(func() {
		for buf := make([]byte, 64<<10); ; {
			n, err := back.Read(buf)
			if err != nil {
				return
			}
			if at := r.client.Load(); at != nil {
				_, _ = r.front.WriteToUDP(buf[:n], at)
			}
		}
	})
}

// The old path is gone, and the client does not know that it has a new one.
func TestAnHTTP3ClientMayBeMoved(t *testing.T) {
	t.Parallel()
	g, ca, api := edgeHTTP3(t)
	router := newRebinding(t, g.Address("public"))
	base := "https://" + router.front.LocalAddr().String()
	hc, dials := harness.ClientOf(t, "h3", ca.PEM(), nil)
	o := harness.Open(t, api, base+"/api", "h3", hc)
	for range 3 {
		router.move()
		if _, body, _, err := harness.Ask(hc, base+"/hello", ""); err != nil || body != "hello" {
			t.Errorf("after a move: %q, %v", body, err)
		}
	}
	o.Finish()
	if n := len(dials.All()); n != 1 {
		t.Errorf("the client has opened %d connections", n)
	}
}

func TestShutdownWaitsForHTTP3Streams(t *testing.T) {
	t.Parallel()
	g, ca, api := edgeHTTP3(t)
	address := g.Address("public")
	hc, dials := harness.ClientOf(t, "h3", ca.PEM(), nil)
	o := harness.Open(t, api, "https://"+address+"/api", "h3", hc)
	if err := g.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	testkit.Retry(t, "new connections to be refused", func() error {
		other, _ := harness.ClientOf(t, "h3", ca.PEM(), nil)
		if status, _, _, err := harness.Ask(other, "https://"+address+"/hello", ""); err == nil {
			return fmt.Errorf("it was answered: %d", status)
		}
		return nil
	})
	o.Finish()
	select {
	case <-g.Done:
	case <-time.After(20 * time.Second):
		t.Fatal("the process does not end")
	}
	if code := g.Cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	conn := dials.All()[0]
	select {
	case <-conn.Context().Done():
	case <-time.After(10 * time.Second):
		t.Error("the old connection was left to time out")
	}
	if err := context.Cause(conn.Context()); err == nil || !strings.Contains(err.Error(), "0x100") {
		t.Errorf("the old connection ended by %v, not in order", err)
	}
}
