package routes

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"golang.org/x/net/http2"

	"github.com/mcpgateway/mcpgateway/internal/memory"
)

// refusing is the address of an HTTP/2 server whose first connections refuse
// their first request unread; later ones lead to next. goAway says how.
func refusing(t *testing.T, connections int, goAway bool, next string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(func() {
		for n := 1; ; n++ {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			if n > connections {
				work.Go(func() { pass(c, next) })
			} else {
				work.Go(func() { refuse(c, goAway) })
			}
		}
	})
	t.Cleanup(func() { ln.Close(); work.Wait() })
	return "http://" + ln.Addr().String()
}

func pass(c net.Conn, to string) {
	defer c.Close()
	server, err := net.Dial("tcp", strings.TrimPrefix(to, "http://"))
	if err != nil {
		return
	}
	defer server.Close()
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(server, c); server.Close() })
	both.Go(func() { _, _ = io.Copy(c, server); c.Close() })
	both.Wait()
}

func refuse(c net.Conn, goAway bool) {
	defer c.Close()
	if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	f := http2.NewFramer(c, c)
	_ = f.WriteSettings()
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		// The body has begun by then.
		if data, ok := frame.(*http2.DataFrame); ok {
			if goAway {
				_ = f.WriteGoAway(0, http2.ErrCodeNo, nil)
			} else {
				_ = f.WriteRSTStream(data.StreamID, http2.ErrCodeRefusedStream)
			}
		}
	}
}

func TestARefusedUploadIsSentAgainWhole(t *testing.T) {
	for _, goAway := range []bool{true, false} {
		begun := make(chan struct{}, 1)
		server := upstreamH2C(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			first := make([]byte, 5)
			_, _ = io.ReadFull(r.Body, first)
			begun <- struct{}{}
			rest, _ := io.ReadAll(r.Body)
			_, _ = w.Write(append(first, rest...))
		}))
		g := start(t, `
routes: [{match: {path_prefix: /}, cluster: up}]
clusters: [{name: up, endpoints: ['%s'], protocols: [h2]}]`, refusing(t, 2, goAway, server))
		// The client says no more until the server has what was said.
		body, upload := io.Pipe()
		go func() {
			_, _ = io.WriteString(upload, "first")
			<-begun
			_, _ = io.WriteString(upload, strings.Repeat(" and more", 50_000))
			upload.Close()
		}()
		a := g.do(http.MethodPost, "/", body)
		if want := "first" + strings.Repeat(" and more", 50_000); a.StatusCode != 200 || a.body != want {
			t.Errorf("GOAWAY %v: %d with %d bytes, of %d", goAway, a.StatusCode, len(a.body), len(want))
		}
	}
}

func TestAnUpstreamThatAlwaysRefusesIs503(t *testing.T) {
	g := start(t, `
routes: [{match: {path_prefix: /}, cluster: up}]
clusters: [{name: up, endpoints: ['%s'], protocols: [h2]}]`, refusing(t, 100, false, ""))
	for _, size := range []int{10, 100_000} {
		a := g.do(http.MethodPost, "/", io.MultiReader(strings.NewReader(strings.Repeat("x", size))))
		if e := g.entry(); a.StatusCode != 503 || !strings.Contains(e.Reason, "refused the request unread") {
			t.Errorf("%d: %q", a.StatusCode, e.Reason)
		}
	}
}

func TestAKeptBodyStartsAnewForEachTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, upload := io.Pipe()
		b := newKeptBody(client, memory.Lease{})
		first, _ := b.again()
		got := make([]byte, 100)
		go func() { _, _ = io.WriteString(upload, "one ") }()
		if n, err := first.Read(got); string(got[:n]) != "one " || err != nil {
			t.Fatalf("%q, %v", got[:n], err)
		}
		ended := make(chan error, 1)
		go func() {
			_, err := first.Read(make([]byte, 100))
			ended <- err
		}()
		synctest.Wait() // it waits for the client
		second, err := b.again()
		if err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, http.ErrBodyReadAfterClose) {
			t.Errorf("the first try ended with %v", err)
		}
		go func() {
			_, _ = io.WriteString(upload, "two ")
			_, _ = upload.Write(bytes.Repeat([]byte("x"), maxKept))
			upload.Close()
		}()
		all, err := io.ReadAll(second)
		if want := "one two " + strings.Repeat("x", maxKept); string(all) != want || err != nil {
			t.Errorf("%d bytes, %v", len(all), err)
		}
		if _, err := b.again(); !errors.Is(err, errNotKept) {
			t.Errorf("more than is kept: %v", err)
		}
		if len(b.kept) != 0 {
			t.Errorf("%d bytes are kept for nothing", len(b.kept))
		}
	})
}

func TestAKeptBodyIsLetGoWithTheAnswer(t *testing.T) {
	b := newKeptBody(strings.NewReader("a body"), memory.Lease{})
	try, _ := b.again()
	part := make([]byte, 2)
	if _, err := io.ReadFull(try, part); err != nil {
		t.Fatal(err)
	}
	b.release()
	if _, err := b.again(); !errors.Is(err, errNotKept) {
		t.Errorf("after the answer: %v", err)
	}
	rest, err := io.ReadAll(try)
	if string(part)+string(rest) != "a body" || err != nil {
		t.Errorf("%q, %v", string(part)+string(rest), err)
	}
}
