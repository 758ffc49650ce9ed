package proxy

import (
	"net"
	"net/http"
	"testing"

	"github.com/mcpgateway/mcpgateway/listeners"
	"github.com/mcpgateway/mcpgateway/proxy/config"
)

// two returns two generations, the first of which is in force.
func two() (g *generations, old, new *Generation) {
	g = &generations{}
	old, new = &Generation{number: 1, free: func() {}}, &Generation{number: 2, free: func() {}}
	old.users.Store(1)
	new.users.Store(1)
	g.current.Store(old)
	return g, old, new
}

// onConnection runs f in a request on a connection, which it returns ended.
func onConnection(t *testing.T, f func(c *listeners.Conn)) *listeners.Conn {
	t.Helper()
	cfg := listeners.Config{Name: "public", Address: "127.0.0.1:0"}
	if err := config.Defaults(&cfg); err != nil {
		t.Fatal(err)
	}
	var conn *listeners.Conn
	server := listeners.NewServer(&cfg, nil, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		conn = listeners.FromContext(r.Context())
		f(conn)
	}), nil)
	sockets := listeners.NewSockets(nil)
	socket, err := sockets.Bind(cfg.Address)
	if err != nil {
		t.Fatal(err)
	}
	socket.Serve(server)
	c, err := net.Dial("tcp", socket.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	for b := make([]byte, 512); err == nil; {
		_, err = c.Read(b)
	}
	c.Close()
	sockets.Close()
	server.Close()
	<-server.Done()
	return conn
}

// The server has chosen its handler before the commit, and the request enters a
// generation after it.
func TestARequestInTheMomentOfACommitStaysOnThePinnedGeneration(t *testing.T) {
	for name, pin := range map[string]func(*dispatcher, *listeners.Conn, *Generation){
		"server":     func(t *dispatcher, _ *listeners.Conn, old *Generation) { t.pin(old) },
		"connection": func(t *dispatcher, c *listeners.Conn, old *Generation) { t.pinConn(c, old) },
	} {
		t.Run(name, func(t *testing.T) {
			onConnection(t, func(c *listeners.Conn) {
				g, old, new := two()
				dispatcher := &dispatcher{generations: g}
				pin(dispatcher, c, old)
				g.current.Store(new)
				if gen := dispatcher.enter(c); gen != old {
					t.Errorf("served by %+v", gen)
				}
			})
		})
	}
}

func TestARequestWithoutAPinIsServedByTheNewestGeneration(t *testing.T) {
	onConnection(t, func(c *listeners.Conn) {
		g, old, new := two()
		dispatcher := &dispatcher{generations: g}
		g.current.Store(new)
		old.done()
		if gen := dispatcher.enter(c); gen != new {
			t.Errorf("served by %+v", gen)
		}
	})
}

// A connection that the trust of generation 2 refuses was let in by generation
// 1; generation 3 refusing it again does not make it one of generation 2.
func TestARefusedConnectionStaysOnTheGenerationThatLetItIn(t *testing.T) {
	onConnection(t, func(c *listeners.Conn) {
		g, old, new := two()
		dispatcher := &dispatcher{generations: g}
		if !dispatcher.pinConn(c, old) || dispatcher.pinConn(c, new) {
			t.Error("the second pin counted")
		}
		if gen := dispatcher.enter(c); gen != old {
			t.Errorf("served by %+v", gen)
		}
	})
}

func TestARequestThatOutlivesItsConnectionMeetsNoNewerGeneration(t *testing.T) {
	g, old, new := two()
	dispatcher := &dispatcher{generations: g}
	c := onConnection(t, func(c *listeners.Conn) { dispatcher.pinConn(c, old) })
	g.current.Store(new)
	dispatcher.unpin(c)
	if gen := dispatcher.enter(c); gen != nil {
		t.Errorf("served by %+v", gen)
	}
}

// After the shutdown the pointer still leads to the last generation.
func TestNothingEntersTheLastGenerationOnceItIsFreed(t *testing.T) {
	onConnection(t, func(c *listeners.Conn) {
		g, old, _ := two()
		old.done()
		if gen := (&dispatcher{generations: g}).enter(c); gen != nil {
			t.Errorf("served by %+v", gen)
		}
	})
}
