package listeners

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/tls"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// forever is a drain that only ends by itself.
var forever = DrainOptions{Timeout: time.Hour}

func TestDefinitionChangeRefusesNobody(t *testing.T) {
	f := newFixture(t, hello)
	stop := make(chan struct{})
	var clients sync.WaitGroup
	failed := make(chan error, 100)
	for i := range 4 {
		set := []func(*http.Protocols, bool){(*http.Protocols).SetHTTP1, (*http.Protocols).SetHTTP2}[i%2]
		client := f.client(set)
		clients.Go(func() {
			for n := 0; isOpen(stop); n++ {
				// Replayable, as GOAWAY may cross with a request on HTTP/2.
				res, err := client.Post(f.url("/"), "text/plain", strings.NewReader("x"))
				if err != nil {
					failed <- err
					return
				}
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
				if n%3 == 0 {
					client.CloseIdleConnections() // dial anew
				}
			}
		})
	}
	old := f.server
	for range 30 {
		next := f.newServer(hello)
		f.socket.Serve(next)
		old.Drain(DrainOptions{Spread: 20 * time.Millisecond, Timeout: time.Hour})
		old = next
		<-time.After(10 * time.Millisecond)
	}
	close(stop)
	clients.Wait()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
	wait(t, f.server.Done(), "end of the first server")
}

func TestIdleHTTP1ConnectionServesOneMoreRequestAfterItWasRetired(t *testing.T) {
	f := newFixture(t, hello)
	c := f.h1()
	c.get("/")
	c.answer()
	f.server.Drain(forever)
	c.get("/")
	if res := c.answer(); !res.Close {
		t.Error("the answer does not carry Connection: close")
	}
	c.ended()
	wait(t, f.server.Done(), "end of the server")
}

func TestSpreadTellsConnectionsOneByOne(t *testing.T) {
	f := newFixture(t, hello)
	for range 10 {
		c := f.h1()
		c.get("/")
		c.answer()
	}
	f.server.Drain(DrainOptions{Spread: time.Hour, Timeout: 2 * time.Hour})
	moments := map[int64]bool{}
	for _, c := range f.server.open() {
		if c.Retired() {
			t.Error("a connection was told at once")
		}
		moments[c.retireAt.Load()] = true
	}
	if len(moments) < 10 {
		t.Errorf("10 connections are told at %d moments", len(moments))
	}
}

func TestHTTP2GoesAwayWhileAnotherStreamGoesOn(t *testing.T) {
	s := newStreams()
	f := newFixture(t, s.ServeHTTP)
	c := f.h2()
	stream := c.get("/stream")
	c.untilHeaders(stream)
	f.server.Drain(forever)
	c.get("/")
	c.untilGoAway()
	if stats := f.server.Stats(); stats.Connections != 1 || stats.Streams != 1 {
		t.Errorf("%+v, want the stream to go on", stats)
	}
	close(s.finish)
	c.untilEnd(stream)
	c.ended()
	wait(t, f.server.Done(), "end of the server")
}

func TestStreamThatBeganBeforeRunsToItsEndAndClosesItsConnection(t *testing.T) {
	s := newStreams()
	f := newFixture(t, s.ServeHTTP, limits(func(l *Limits) { l.HeaderTimeout = 500 * time.Millisecond }))
	c := f.h1()
	c.get("/stream")
	res := c.header()
	f.server.Drain(forever)
	close(s.finish)
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "data: last\n\n" {
		t.Errorf("got %q, %v", body, err)
	}
	c.ended() // long before the idle timeout
	wait(t, f.server.Done(), "end of the server")
}

func TestConnectionHandedOverWhileDrainingIsServed(t *testing.T) {
	s := newStreams()
	f := newFixture(t, s.ServeHTTP)
	keeps := f.h1()
	keeps.get("/stream")
	keeps.header()
	f.server.Drain(forever)
	late := f.h1()
	late.get("/")
	if res := late.answer(); res.StatusCode != http.StatusOK || !res.Close {
		t.Errorf("got %s, close %v", res.Status, res.Close)
	}
	close(s.finish)
}

func TestStreamsEndCleanlyAtTheTimeout(t *testing.T) {
	s := newStreams()
	f := newFixture(t, s.ServeHTTP)
	one, two := f.h1(), f.h2()
	one.get("/stream")
	res := one.header()
	stream := two.get("/stream")
	two.untilHeaders(stream)
	f.server.Drain(DrainOptions{Timeout: 20 * time.Millisecond})
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "data: last\n\n" {
		t.Errorf("HTTP/1.1: got %q, %v", body, err)
	}
	one.ended()
	two.untilEnd(stream)
	two.ended()
	wait(t, f.server.Done(), "end of the server")
}

func TestWhatDoesNotEndIsCutAfterAGrace(t *testing.T) {
	begun := make(chan struct{}, 2)
	f := newFixture(t, func(_ http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		<-r.Context().Done()
	})
	one, two := f.h1(), f.h2()
	one.get("/")
	two.get("/")
	<-begun
	<-begun
	f.server.Drain(DrainOptions{Timeout: 10 * time.Millisecond})
	wait(t, f.server.Done(), "end of the server")
}

func TestShutdownClosesIdleConnectionsOnceTheSpreadHasPassed(t *testing.T) {
	f := newFixture(t, hello)
	one, silent, two := f.h1(), f.h1(), f.h2()
	one.get("/")
	one.answer()
	two.untilEnd(two.get("/"))
	f.server.Drain(DrainOptions{CloseIdle: true, Timeout: time.Hour})
	one.ended()
	silent.ended()
	two.untilGoAway()
	two.ended()
	wait(t, f.server.Done(), "end of the server")
}

func TestShutdownOverridesTheDrainOfAReload(t *testing.T) {
	f := newFixture(t, hello)
	c := f.h1()
	c.get("/")
	c.answer()
	f.server.Drain(DrainOptions{Spread: time.Hour, Timeout: 2 * time.Hour})
	f.server.Drain(DrainOptions{CloseIdle: true, Timeout: 10 * time.Millisecond})
	c.ended()
	wait(t, f.server.Done(), "end of the server")
}

func TestServerWithoutConnectionsIsDoneAtOnce(t *testing.T) {
	f := newFixture(t, hello)
	s := f.newServer(hello)
	s.Drain(forever)
	wait(t, s.Done(), "end of the server")
}

func TestDoneWaitsForHandlers(t *testing.T) {
	begun, finish := make(chan struct{}, 2), make(chan struct{})
	f := newFixture(t, func(http.ResponseWriter, *http.Request) {
		begun <- struct{}{}
		<-finish
	})
	one, two := f.h1(), f.h2()
	one.get("/")
	two.get("/")
	<-begun
	<-begun
	f.server.Close()
	one.ended()
	testkit.Eventually(t, "the connections are gone", func() bool { return f.server.Stats().Connections <= 1 })
	if !isOpen(f.server.Done()) {
		t.Error("done while handlers run")
	}
	close(finish)
	wait(t, f.server.Done(), "end of the server")
}

func TestHijackedConnectionIsTrackedUntilItCloses(t *testing.T) {
	hijacked := make(chan net.Conn, 1)
	f := newFixture(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
		}
		hijacked <- conn
	})
	f.h1().get("/")
	conn := <-hijacked
	f.server.Drain(forever)
	if !isOpen(f.server.Done()) || f.server.Stats().Connections != 1 {
		t.Error("the hijacked connection is forgotten")
	}
	conn.Close()
	wait(t, f.server.Done(), "end of the server")
}

func TestUpgradeOnARetiredConnectionIsLeftAlone(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "echo")
		w.WriteHeader(http.StatusSwitchingProtocols)
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		rw.Flush()
		io.Copy(conn, rw)
	}))
	defer upstream.Close()
	target, _ := url.Parse(upstream.URL)
	f := newFixture(t, httputil.NewSingleHostReverseProxy(target).ServeHTTP)
	c := f.h1()
	testkit.Eventually(t, "the connection is there", func() bool { return f.server.Stats().Connections == 1 })
	f.server.Drain(forever)
	c.send("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	if res := c.header(); res.StatusCode != 101 || res.Header.Get("Connection") != "Upgrade" {
		t.Fatalf("got %s with Connection: %v", res.Status, res.Header["Connection"])
	}
	c.send("ping")
	echo := make([]byte, 4)
	if _, err := io.ReadFull(c.r, echo); err != nil || !bytes.Equal(echo, []byte("ping")) {
		t.Errorf("got %q, %v", echo, err)
	}
	c.Close()
	wait(t, f.server.Done(), "end of the server")
}

func TestConnectionEndsWithItsClientCertificate(t *testing.T) {
	s := newStreams()
	f := newFixture(t, s.ServeHTTP)
	clientAuth(f, tls.ClientAuthRequire)(&f.cfg)
	f.server.SwapTLS(f.snapshot(nil))
	template := tlstest.Template(t, "brief")
	template.NotAfter = time.Now().Add(5 * time.Second) // cut to whole seconds
	cert, key := f.ca.Issue(t, template)
	idle, one, two := f.h1(cert, key), f.h1(cert, key), f.h2(cert, key)
	idle.get("/")
	idle.answer()
	one.get("/stream")
	res := one.header()
	stream := two.get("/stream")
	two.untilHeaders(stream)

	idle.ended()
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "data: last\n\n" {
		t.Errorf("got %q, %v", body, err)
	}
	one.ended()
	two.untilEnd(stream)
	two.ended()
}
