package clusters_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

func retired(e *clusters.Endpoint) bool {
	select {
	case <-e.Retired():
		return true
	default:
		return false
	}
}

func TestAnUnchangedClusterIsCarriedOver(t *testing.T) {
	server := serve(t, "", nil, http.HandlerFunc(echo))
	cfg, other := cluster(t, "same", "http://"+server.addr), cluster(t, "other", "http://"+server.addr)
	first := newSet(t, clusters.Options{}, cfg, other)
	fetch(t, get(t, first, "same"), "/")
	second := prepare(t, first, clusters.Options{}, cfg)
	second.Commit()
	release(t, first)
	if get(t, first, "same") != get(t, second, "same") {
		t.Error("it is another cluster")
	}
	if retired(get(t, second, "same").Endpoints()[0]) || !retired(get(t, first, "other").Endpoints()[0]) {
		t.Error("the wrong endpoint was retired")
	}
	fetch(t, get(t, second, "same"), "/")
	if _, all := server.connections(); all != 1 {
		t.Errorf("%d connections, want the one kept", all)
	}
}

func TestAddingAnEndpointKeepsTheOthers(t *testing.T) {
	server, added := serve(t, "", nil, http.HandlerFunc(echo)), serve(t, "", nil, http.HandlerFunc(echo))
	first := newSet(t, clusters.Options{}, cluster(t, "c", "http://"+server.addr))
	fetch(t, get(t, first, "c"), "/")
	e := get(t, first, "c").Endpoints()[0]
	second := prepare(t, first, clusters.Options{}, cluster(t, "c", "http://"+server.addr, "http://"+added.addr))
	second.Commit()
	release(t, first)
	if got := get(t, second, "c").Endpoints(); len(got) != 2 || got[0] != e || retired(e) {
		t.Fatalf("endpoints are %v", got)
	}
	fetch(t, e, "/")
	if _, all := server.connections(); all != 1 {
		t.Errorf("%d connections, want the one kept", all)
	}
	third := prepare(t, second, clusters.Options{}, cluster(t, "c", "http://"+added.addr))
	third.Commit()
	if !retired(e) {
		t.Error("a removed endpoint was not retired")
	}
	fetch(t, e, "/") // the second set is not released yet
	release(t, second)
	if _, err := e.RoundTrip(request(t, "GET", "/", "")); !errors.Is(err, clusters.ErrRetired) {
		t.Errorf("after the release: %v", err)
	}
	eventually(t, "closed", func() bool { open, _ := server.connections(); return open == 0 })
}

func TestHeadersAreSwappedInPlace(t *testing.T) {
	server := serve(t, "", nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("Authorization"))
	}))
	cfg := cluster(t, "c", "http://"+server.addr)
	cfg.Headers = map[string]config.Value{"authorization": {Text: "old"}}
	first := newSet(t, clusters.Options{}, cfg)
	e := get(t, first, "c").Endpoints()[0]
	if got := fetch(t, e, "/"); got != "old" {
		t.Errorf("sent %q", got)
	}
	cfg.Headers = map[string]config.Value{"authorization": {Text: "new", File: "/token"}}
	second := prepare(t, first, clusters.Options{}, cfg)
	if got := fetch(t, e, "/"); got != "old" {
		t.Errorf("a set that is only prepared sent %q", got)
	}
	second.Commit()
	if got := fetch(t, e, "/"); got != "new" || get(t, second, "c").Endpoints()[0] != e {
		t.Errorf("sent %q", got)
	}
	if _, all := server.connections(); all != 1 {
		t.Errorf("%d connections, want the one kept", all)
	}
}

func TestANewPoolInheritsHealthAndCounters(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	server := serve(t, "", ca, everything())
	cfg := cluster(t, "c", "https://"+server.addr)
	cfg.TLS, cfg.HealthCheck = identity(t, ca, "old"), checks(t, "http")
	first := newSet(t, clusters.Options{}, cfg)
	c := get(t, first, "c")
	eventually(t, "healthy", func() bool { return c.Endpoints()[0].Healthy() })
	streaming, stop := context.WithCancel(t.Context())
	defer stop()
	stream, err := c.RoundTrip(request(t, "GET", "/stream", "").WithContext(streaming))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	cfg.TLS = identity(t, ca, "new")
	second := prepare(t, first, clusters.Options{}, cfg)
	e := get(t, second, "c").Endpoints()[0]
	if e == c.Endpoints()[0] {
		t.Fatal("the pool was not replaced")
	}
	if !e.Healthy() || e.Active() != 1 || e.Status().Requests == 0 {
		t.Errorf("inherited %+v", e.Status())
	}
}

func TestCallsOnAnOldPoolRunToTheirEnd(t *testing.T) {
	for _, protocol := range []string{"http/1.1", "h2"} {
		ca := tlstest.NewCA(t, "Test CA")
		server := serve(t, "", ca, everything())
		cfg := cluster(t, "c", "https://"+server.addr)
		cfg.TLS, cfg.Protocols = identity(t, ca, "old"), []string{protocol}
		first := newSet(t, clusters.Options{}, cfg)
		c := get(t, first, "c")
		streaming, stop := context.WithCancel(t.Context())
		defer stop()
		stream, err := c.RoundTrip(request(t, "GET", "/stream", "").WithContext(streaming))
		if err != nil {
			t.Fatal(err)
		}
		hold := c.Endpoints()[0].Hold()
		fetch(t, c, "/")
		cfg.TLS = identity(t, ca, "new")
		second := prepare(t, first, clusters.Options{}, cfg)
		second.Commit()
		release(t, first)
		eventually(t, "only the stream's connection is left", func() bool { open, _ := server.connections(); return open == 1 })
		fetch(t, c.Endpoints()[0], "/") // it is held
		hold()
		if b := make([]byte, 9); streamRead(stream, b) != nil {
			t.Error("the stream broke")
		}
		stop()
		stream.Body.Close()
		eventually(t, "closed", func() bool { open, _ := server.connections(); return open == 0 })
	}
}

func streamRead(res *http.Response, b []byte) error {
	_, err := res.Body.Read(b)
	return err
}

func TestASetThatFailsLeavesNothing(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	good, bad := cluster(t, "good", "https://localhost:1"), cluster(t, "bad", "https://localhost:1")
	good.TLS, bad.TLS = identity(t, ca, "x"), identity(t, ca, "x")
	bad.TLS.CACert.Data = []byte("no certificate")
	before := runtime.NumGoroutine()
	if _, err := clusters.NewSet([]clusters.Config{good, bad}, nil, clusters.Options{}); err == nil {
		t.Fatal("no error")
	}
	eventually(t, "goroutines are gone", func() bool { return runtime.NumGoroutine() <= before })
}

func TestManyGenerationsLeaveNothingBehind(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	server := serve(t, "", ca, everything())
	generation := func(i int, previous *clusters.Set) *clusters.Set {
		cfg := cluster(t, "c", "https://"+server.addr)
		cfg.TLS, cfg.HealthCheck = identity(t, ca, fmt.Sprint("client-", i)), checks(t, "http")
		cfg.HealthCheck.Interval = time.Millisecond
		s, err := clusters.NewSet([]clusters.Config{cfg}, previous, clusters.Options{})
		if err != nil {
			t.Fatal(err)
		}
		s.Commit()
		if previous != nil {
			previous.Release()
		}
		for range 3 {
			fetch(t, get(t, s, "c"), "/")
		}
		return s
	}
	set := generation(0, nil)
	both := func() bool { open, _ := server.connections(); return open == 2 }
	eventually(t, "one connection of the traffic and one of the checks", both)
	goroutines, files := runtime.NumGoroutine(), descriptors(t)
	for i := range 50 {
		set = generation(i+1, set)
	}
	eventually(t, "two connections are left", both)
	eventually(t, "goroutines are gone", func() bool { return runtime.NumGoroutine() <= goroutines+2 })
	eventually(t, "descriptors are gone", func() bool { return descriptors(t) <= files+2 })
	release(t, set)
	eventually(t, "all closed", func() bool { open, _ := server.connections(); return open == 0 })
}

// A call that ends after the rotation leaves no connection of the old identity
// behind, although a stream keeps the old pool.
func TestAConnectionOfTheOldIdentityClosesWhenItsCallEnds(t *testing.T) {
	ca := tlstest.NewCA(t, "CA")
	ends := map[string]chan struct{}{"/idle": make(chan struct{}), "/call": make(chan struct{}), "/stream": make(chan struct{})}
	server := serve(t, "", ca, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-ends[r.URL.Path]
	}))
	cfg := cluster(t, "c", "https://"+server.addr)
	cfg.TLS, cfg.Protocols = identity(t, ca, "before"), []string{"http/1.1"}
	first := newSet(t, clusters.Options{}, cfg)
	open := map[string]*http.Response{}
	for path := range ends {
		res, err := get(t, first, "c").RoundTrip(request(t, http.MethodGet, path, ""))
		if err != nil {
			t.Fatal(err)
		}
		open[path] = res
	}
	close(ends["/idle"])
	read(t, open["/idle"])
	cfg.TLS = identity(t, ca, "after")
	prepare(t, first, clusters.Options{}, cfg).Commit()
	eventually(t, "the idle connection to close", func() bool { n, _ := server.connections(); return n == 2 })
	close(ends["/call"])
	read(t, open["/call"])
	eventually(t, "the stream's connection alone", func() bool { n, _ := server.connections(); return n == 1 })
	close(ends["/stream"])
	read(t, open["/stream"])
	eventually(t, "no connection", func() bool { n, _ := server.connections(); return n == 0 })
}

func TestAReleasedSetIsFreed(t *testing.T) {
	server := serve(t, "", nil, http.HandlerFunc(echo))
	first := newSetUncleaned(t, nil, cluster(t, "c", "http://"+server.addr))
	freed := make(chan struct{})
	runtime.AddCleanup(first, func(ch chan struct{}) { close(ch) }, freed)
	cfg := cluster(t, "c", "http://"+server.addr)
	cfg.Balancing = "round_robin"
	second := newSetUncleaned(t, first, cfg)
	defer release(t, second)
	first.Release()
	eventually(t, "freed", func() bool {
		runtime.GC()
		select {
		case <-freed:
			return true
		default:
			return false
		}
	})
}

func newSetUncleaned(t *testing.T, previous *clusters.Set, cfg clusters.Config) *clusters.Set {
	s, err := clusters.NewSet([]clusters.Config{cfg}, previous, clusters.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.Commit()
	return s
}
