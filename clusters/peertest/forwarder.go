package peertest

import (
	"net"
	"sync"
	"testing"
)

// Forwarder passes TCP connections on to a peer. Those that it has silenced are
// still read, so that all is acknowledged, and carry nothing.
type Forwarder struct {
	Addr string // host and port

	mu    sync.Mutex
	conns []*forwarded
}

type forwarded struct {
	client, server net.Conn
	silent         bool // guarded by mu of the Forwarder
}

// Forward starts a forwarder to an address.
func Forward(t testing.TB, to string) *Forwarder {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &Forwarder{Addr: ln.Addr().String()}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				client.Close()
				continue
			}
			c := &forwarded{client: client, server: server}
			f.mu.Lock()
			f.conns = append(f.conns, c)
			f.mu.Unlock()
			work.Go(func() { f.pump(c, server, client) })
			work.Go(func() { f.pump(c, client, server) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		f.mu.Lock()
		for _, c := range f.conns {
			c.client.Close()
			c.server.Close()
		}
		f.mu.Unlock()
		work.Wait()
	})
	return f
}

func (f *Forwarder) pump(c *forwarded, to, from net.Conn) {
	defer from.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			f.mu.Lock()
			silent := c.silent
			f.mu.Unlock()
			if !silent {
				to.Close()
			}
			return
		}
		f.mu.Lock()
		silent := c.silent
		f.mu.Unlock()
		if !silent {
			_, _ = to.Write(b[:n])
		}
	}
}

// Silence silences the connections that are open.
func (f *Forwarder) Silence() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.conns {
		c.silent = true
	}
}

// Count is how many connections there were.
func (f *Forwarder) Count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.conns)
}
