package clusters_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/clusters/peertest"
	"github.com/mcpgateway/mcpgateway/clusters/transport"
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
	server := peertest.Serve(t, "", nil, http.HandlerFunc(peertest.Echo))
	cfg, other := cluster(t, "same", "http://"+server.Addr), cluster(t, "other", "http://"+server.Addr)
	first := newSet(t, clusters.Options{}, cfg, other)
	peertest.Fetch(t, get(t, first, "same"), "/")
	second := prepare(t, first, clusters.Options{}, cfg)
	second.Commit()
	release(t, first)
	if get(t, first, "same") != get(t, second, "same") {
		t.Error("it is another cluster")
	}
	if retired(get(t, second, "same").Endpoints()[0]) || !retired(get(t, first, "other").Endpoints()[0]) {
		t.Error("the wrong endpoint was retired")
	}
	peertest.Fetch(t, get(t, second, "same"), "/")
	if _, all := server.Connections(); all != 1 {
		t.Errorf("%d connections, want the one kept", all)
	}
}

func TestAddingAnEndpointKeepsTheOthers(t *testing.T) {
	server, added := peertest.Serve(t, "", nil, http.HandlerFunc(peertest.Echo)), peertest.Serve(t, "", nil, http.HandlerFunc(peertest.Echo))
	first := newSet(t, clusters.Options{}, cluster(t, "c", "http://"+server.Addr))
	peertest.Fetch(t, get(t, first, "c"), "/")
	e := get(t, first, "c").Endpoints()[0]
	second := prepare(t, first, clusters.Options{}, cluster(t, "c", "http://"+server.Addr, "http://"+added.Addr))
	second.Commit()
	release(t, first)
	if got := get(t, second, "c").Endpoints(); len(got) != 2 || got[0] != e || retired(e) {
		t.Fatalf("endpoints are %v", got)
	}
	peertest.Fetch(t, e, "/")
	if _, all := server.Connections(); all != 1 {
		t.Errorf("%d connections, want the one kept", all)
	}
	third := prepare(t, second, clusters.Options{}, cluster(t, "c", "http://"+added.Addr))
	third.Commit()
	if !retired(e) {
		t.Error("a removed endpoint was not retired")
	}
	peertest.Fetch(t, e, "/") // the second set is not released yet
	release(t, second)
	if _, err := e.RoundTrip(peertest.Request(t, "GET", "/", "")); !errors.Is(err, transport.ErrRetired) {
		t.Errorf("after the release: %v", err)
	}
	peertest.Eventually(t, "closed", func() bool { open, _ := server.Connections(); return open == 0 })
}

// An endpoint outlives many generations, whose configurations hold secrets.
func TestAnEndpointThatIsCarriedOverKeepsNoOldConfiguration(t *testing.T) {
	server := peertest.Serve(t, "", nil, http.HandlerFunc(peertest.Echo))
	// prepare would keep each set until the test ends.
	commit := func(previous *clusters.Set, token string) (*clusters.Set, weak.Pointer[clusters.HealthCheck]) {
		cfg := cluster(t, "c", "http://"+server.Addr)
		cfg.Headers, cfg.HealthCheck = map[string]config.Value{"authorization": {Text: token}}, checks(t, "tcp")
		set, err := clusters.NewSet([]clusters.Config{cfg}, previous, clusters.Options{})
		if err != nil {
			t.Fatal(err)
		}
		set.Commit()
		if previous != nil {
			release(t, previous)
		}
		return set, weak.Make(cfg.HealthCheck)
	}
	first, old := commit(nil, "old")
	e := get(t, first, "c").Endpoints()[0]
	last, _ := commit(first, "new")
	defer release(t, last)
	if get(t, last, "c").Endpoints()[0] != e {
		t.Fatal("the endpoint was not carried over; the test shows nothing")
	}
	peertest.Eventually(t, "the old configuration is collected", func() bool { runtime.GC(); return old.Value() == nil })
	runtime.KeepAlive(e)
}

func TestHeadersAreSwappedInPlace(t *testing.T) {
	server := peertest.Serve(t, "", nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("Authorization"))
	}))
	cfg := cluster(t, "c", "http://"+server.Addr)
	cfg.Headers = map[string]config.Value{"authorization": {Text: "old"}}
	first := newSet(t, clusters.Options{}, cfg)
	e := get(t, first, "c").Endpoints()[0]
	if got := peertest.Fetch(t, e, "/"); got != "old" {
		t.Errorf("sent %q", got)
	}
	cfg.Headers = map[string]config.Value{"authorization": {Text: "new", File: "/token"}}
	second := prepare(t, first, clusters.Options{}, cfg)
	if got := peertest.Fetch(t, e, "/"); got != "old" {
		t.Errorf("a set that is only prepared sent %q", got)
	}
	second.Commit()
	if got := peertest.Fetch(t, e, "/"); got != "new" || get(t, second, "c").Endpoints()[0] != e {
		t.Errorf("sent %q", got)
	}
	if _, all := server.Connections(); all != 1 {
		t.Errorf("%d connections, want the one kept", all)
	}
}

func TestANewPoolInheritsHealthAndCounters(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	server := peertest.Serve(t, "", ca, peertest.Everything())
	cfg := cluster(t, "c", "https://"+server.Addr)
	cfg.TLS, cfg.HealthCheck = peertest.Identity(t, ca, "old"), checks(t, "http")
	first := newSet(t, clusters.Options{}, cfg)
	c := get(t, first, "c")
	awaitHealth(t, c.Endpoints()[0], clusters.Healthy)
	streaming, stop := context.WithCancel(t.Context())
	defer stop()
	stream, err := c.RoundTrip(peertest.Request(t, "GET", "/stream", "").WithContext(streaming))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	cfg.TLS = peertest.Identity(t, ca, "new")
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
		server := peertest.Serve(t, "", ca, peertest.Everything())
		cfg := cluster(t, "c", "https://"+server.Addr)
		cfg.TLS, cfg.Protocols = peertest.Identity(t, ca, "old"), []string{protocol}
		first := newSet(t, clusters.Options{}, cfg)
		c := get(t, first, "c")
		streaming, stop := context.WithCancel(t.Context())
		defer stop()
		stream, err := c.RoundTrip(peertest.Request(t, "GET", "/stream", "").WithContext(streaming))
		if err != nil {
			t.Fatal(err)
		}
		hold := c.Endpoints()[0].Hold()
		peertest.Fetch(t, c, "/")
		cfg.TLS = peertest.Identity(t, ca, "new")
		second := prepare(t, first, clusters.Options{}, cfg)
		second.Commit()
		release(t, first)
		peertest.Eventually(t, "only the stream's connection is left", func() bool { open, _ := server.Connections(); return open == 1 })
		peertest.Fetch(t, c.Endpoints()[0], "/") // it is held
		hold()
		if b := make([]byte, 9); streamRead(stream, b) != nil {
			t.Error("the stream broke")
		}
		stop()
		stream.Body.Close()
		peertest.Eventually(t, "closed", func() bool { open, _ := server.Connections(); return open == 0 })
	}
}

func streamRead(res *http.Response, b []byte) error {
	_, err := res.Body.Read(b)
	return err
}

func TestASetThatFailsLeavesNothing(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	good, bad := cluster(t, "good", "https://localhost:1"), cluster(t, "bad", "https://localhost:1")
	good.TLS, bad.TLS = peertest.Identity(t, ca, "x"), peertest.Identity(t, ca, "x")
	bad.TLS.CACert.Data = []byte("no certificate")
	before := runtime.NumGoroutine()
	if _, err := clusters.NewSet([]clusters.Config{good, bad}, nil, clusters.Options{}); err == nil {
		t.Fatal("no error")
	}
	peertest.Eventually(t, "goroutines are gone", func() bool { return runtime.NumGoroutine() <= before })
}

func TestManyGenerationsLeaveNothingBehind(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	server := peertest.Serve(t, "", ca, peertest.Everything())
	generation := func(i int, previous *clusters.Set) *clusters.Set {
		cfg := cluster(t, "c", "https://"+server.Addr)
		cfg.TLS, cfg.HealthCheck = peertest.Identity(t, ca, fmt.Sprint("client-", i)), checks(t, "http")
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
			peertest.Fetch(t, get(t, s, "c"), "/")
		}
		return s
	}
	set := generation(0, nil)
	both := func() bool { open, _ := server.Connections(); return open == 2 }
	peertest.Eventually(t, "one connection of the traffic and one of the checks", both)
	goroutines, files := runtime.NumGoroutine(), peertest.Descriptors(t)
	for i := range 50 {
		set = generation(i+1, set)
	}
	peertest.Eventually(t, "two connections are left", both)
	peertest.Eventually(t, "goroutines are gone", func() bool { return runtime.NumGoroutine() <= goroutines+2 })
	peertest.Eventually(t, "descriptors are gone", func() bool { return peertest.Descriptors(t) <= files+2 })
	release(t, set)
	peertest.Eventually(t, "all closed", func() bool { open, _ := server.Connections(); return open == 0 })
}

// A call that ends after the rotation leaves no connection of the old identity
// behind, although a stream keeps the old pool.
func TestAConnectionOfTheOldIdentityClosesWhenItsCallEnds(t *testing.T) {
	ca := tlstest.NewCA(t, "CA")
	ends := map[string]chan struct{}{"/idle": make(chan struct{}), "/call": make(chan struct{}), "/stream": make(chan struct{})}
	server := peertest.Serve(t, "", ca, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-ends[r.URL.Path]
	}))
	cfg := cluster(t, "c", "https://"+server.Addr)
	cfg.TLS, cfg.Protocols = peertest.Identity(t, ca, "before"), []string{"http/1.1"}
	first := newSet(t, clusters.Options{}, cfg)
	open := map[string]*http.Response{}
	for path := range ends {
		res, err := get(t, first, "c").RoundTrip(peertest.Request(t, http.MethodGet, path, ""))
		if err != nil {
			t.Fatal(err)
		}
		open[path] = res
	}
	close(ends["/idle"])
	peertest.Read(t, open["/idle"])
	cfg.TLS = peertest.Identity(t, ca, "after")
	prepare(t, first, clusters.Options{}, cfg).Commit()
	peertest.Eventually(t, "the idle connection to close", func() bool { n, _ := server.Connections(); return n == 2 })
	close(ends["/call"])
	peertest.Read(t, open["/call"])
	peertest.Eventually(t, "the stream's connection alone", func() bool { n, _ := server.Connections(); return n == 1 })
	close(ends["/stream"])
	peertest.Read(t, open["/stream"])
	peertest.Eventually(t, "no connection", func() bool { n, _ := server.Connections(); return n == 0 })
}

func TestAReleasedSetIsFreed(t *testing.T) {
	server := peertest.Serve(t, "", nil, http.HandlerFunc(peertest.Echo))
	first := newSetUncleaned(t, nil, cluster(t, "c", "http://"+server.Addr))
	freed := make(chan struct{})
	runtime.AddCleanup(first, func(ch chan struct{}) { close(ch) }, freed)
	cfg := cluster(t, "c", "http://"+server.Addr)
	cfg.Balancing = "round_robin"
	second := newSetUncleaned(t, first, cfg)
	defer release(t, second)
	first.Release()
	peertest.Eventually(t, "freed", func() bool {
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
