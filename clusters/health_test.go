package clusters_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/clusters/peertest"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// patient is a Prober whose endpoints answer what the test says.
type patient struct {
	mu     sync.Mutex
	sick   map[string]error // by address
	checks map[string]int
	probes int // open ones
	check  func(context.Context) error
}

func newPatient() *patient {
	return &patient{sick: map[string]error{}, checks: map[string]int{}}
}

func (p *patient) set(address string, err error) {
	p.mu.Lock()
	p.sick[address] = err
	p.mu.Unlock()
}

func (p *patient) count(address string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.checks[address]
}

type patientProbe struct {
	p       *patient
	address string
}

func (p *patient) NewProbe(_ *clusters.Cluster, e *clusters.Endpoint) clusters.Probe {
	p.mu.Lock()
	p.probes++
	p.mu.Unlock()
	return patientProbe{p, e.Address()}
}

func (q patientProbe) Check(ctx context.Context) error {
	q.p.mu.Lock()
	defer q.p.mu.Unlock()
	q.p.checks[q.address]++
	if q.p.check != nil {
		return q.p.check(ctx)
	}
	return q.p.sick[q.address]
}

func (q patientProbe) Close(context.Context) {
	q.p.mu.Lock()
	q.p.probes--
	q.p.mu.Unlock()
}

const (
	one = "192.0.2.1:80"
	two = "192.0.2.2:80"
)

// checked is a cluster of endpoint one, checked by a patient every 10 s.
func checked(t *testing.T, more ...string) clusters.Config {
	cfg := cluster(t, "c", append([]string{"http://" + one}, more...)...)
	cfg.HealthCheck = checks(t, "mcp")
	cfg.HealthCheck.Jitter = 0
	return cfg
}

func TestThresholdsDecideOnHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPatient()
		var verdicts []string
		trace := clusters.Trace{Health: func(_, _ string, healthy bool, err error) {
			verdicts = append(verdicts, fmt.Sprint(healthy, " ", err))
		}}
		set := newSet(t, clusters.Options{Probers: mcp(p), Trace: trace}, checked(t))
		e := get(t, set, "c").Endpoints()[0]
		synctest.Wait()
		if !e.Healthy() {
			t.Fatal("one success at start was not enough")
		}
		p.set(one, errors.New("ill"))
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if p.count(one) != 3 || !e.Healthy() {
			t.Fatalf("%d checks, healthy %v; two failures are not enough", p.count(one), e.Healthy())
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if e.Healthy() || e.Status().Health != clusters.Unhealthy || e.Status().LastError.Error() != "ill" {
			t.Fatalf("after three failures: %+v", e.Status())
		}
		if _, err := get(t, set, "c").Pick(); !errors.Is(err, clusters.ErrNoHealthyUpstream) || !strings.Contains(err.Error(), "ill") {
			t.Errorf("Pick: %v", err)
		}
		p.set(one, nil)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if e.Healthy() {
			t.Fatal("one success was enough")
		}
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		if !e.Healthy() {
			t.Fatal("the second check did not follow soon")
		}
		if _, err := get(t, set, "c").Pick(); err != nil {
			t.Errorf("not routed to at once: %v", err)
		}
		if got := strings.Join(verdicts, ","); got != "true <nil>,false ill,true <nil>" {
			t.Errorf("verdicts were %s", got)
		}
		p.set(one, fmt.Errorf("%w: 401", clusters.ErrUnauthorized))
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if got := e.Status().Health; got != clusters.Unauthorized {
			t.Errorf("health is %q", got)
		}
	})
}

func TestWarmWaitsForVerdictsAndNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPatient()
		p.set(two, errors.New("ill"))
		set := prepare(t, nil, clusters.Options{Probers: mcp(p)}, checked(t, "http://"+two))
		c := get(t, set, "c")
		if got := c.Endpoints()[0].Status().Health; got != clusters.Warming {
			t.Errorf("health is %q", got)
		}
		start := time.Now()
		set.Warm(t.Context())
		if d := time.Since(start); d != time.Second {
			t.Errorf("took %v; three checks in a hurry take 1s", d)
		}
		if a, b := c.Endpoints()[0], c.Endpoints()[1]; !a.Healthy() || b.Status().Health != clusters.Unhealthy {
			t.Errorf("%+v, %+v", a.Status(), b.Status())
		}
		time.Sleep(time.Minute)
		if p.count(one) != 1 {
			t.Error("a set that is not committed went on checking")
		}

		p.check = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		hung := prepare(t, nil, clusters.Options{Probers: mcp(p)}, checked(t))
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		hung.Warm(ctx)
		if got := get(t, hung, "c").Endpoints()[0].Status().Health; got != clusters.Warming {
			t.Errorf("a check that was cut short made it %q", got)
		}
	})
}

func TestAWarmingEndpointIsPickedOnlyForLackOfHealthyOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPatient()
		p.set(two, errors.New("ill"))
		set := newSet(t, clusters.Options{Probers: mcp(p)}, checked(t, "http://"+two))
		c := get(t, set, "c")
		if _, err := c.Pick(); err != nil {
			t.Errorf("before any verdict: %v", err)
		}
		synctest.Wait() // one is healthy, two has failed once
		for range 50 {
			if e, err := c.Pick(); err != nil || e.Address() != one {
				t.Fatalf("picked %v, %v", e, err)
			}
		}
		if e, err := c.Pick(c.Endpoints()[0]); err != nil || e.Address() != two {
			t.Errorf("without the healthy one: %v, %v", e, err)
		}
	})
}

func TestOnlyTheCommittedSetChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPatient()
		opts := clusters.Options{Probers: mcp(p)}
		first := newSet(t, opts, checked(t))
		time.Sleep(time.Minute)
		synctest.Wait()
		cfg := checked(t)
		cfg.Balancing = "round_robin"
		second := prepare(t, first, opts, cfg)
		second.Warm(t.Context())
		before := p.count(one)
		second.Commit()
		first.Release()
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := p.count(one) - before; n < 5 || n > 7 {
			t.Errorf("%d checks in a minute, want 6", n)
		}
		if p.probes != 1 {
			t.Errorf("%d probes are open", p.probes)
		}
		release(t, second)
		if p.probes != 0 {
			t.Errorf("%d probes are open at the end", p.probes)
		}
	})
}

func TestHealthIsInheritedAndChangesByThresholdsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPatient()
		p.set(one, errors.New("ill"))
		opts := clusters.Options{Probers: mcp(p)}
		set := newSet(t, opts, checked(t))
		time.Sleep(5 * time.Second)
		for i := range 10 {
			cfg := checked(t)
			cfg.IdleTimeout = time.Duration(i+1) * time.Second // a new pool
			next := prepare(t, set, opts, cfg)
			next.Warm(t.Context())
			next.Commit()
			set.Release()
			set = next
			if get(t, set, "c").Endpoints()[0].Healthy() {
				t.Fatal("a reload made it healthy")
			}
		}
		p.set(one, nil)
		time.Sleep(11 * time.Second)
		if !get(t, set, "c").Endpoints()[0].Healthy() {
			t.Error("it did not recover")
		}
	})
}

// An operator who mends a cluster's settings looks at its health at once.
func TestAnUnhealthyEndpointIsCheckedAtOnceWhenItsSettingsChange(t *testing.T) {
	ca, stranger := tlstest.NewCA(t, "CA"), tlstest.NewCA(t, "Stranger")
	server := peertest.Serve(t, "", ca, http.HandlerFunc(peertest.Echo))
	cfg := cluster(t, "c", "https://"+server.Addr)
	cfg.TLS = peertest.Identity(t, stranger, "client")
	cfg.HealthCheck = checks(t, "http")
	cfg.HealthCheck.Interval, cfg.HealthCheck.UnhealthyThreshold, cfg.HealthCheck.HealthyThreshold = time.Hour, 1, 1
	broken := newSet(t, clusters.Options{}, cfg)
	awaitHealth(t, get(t, broken, "c").Endpoints()[0], clusters.Unhealthy)

	cfg.TLS = peertest.Identity(t, ca, "client")
	mended := prepare(t, broken, clusters.Options{}, cfg)
	mended.Commit()
	awaitHealth(t, get(t, mended, "c").Endpoints()[0], clusters.Healthy)
}

// What a check found out by other means says nothing about the new ones.
func TestIllHealthIsNotInheritedByOtherMeansOfReachingAServer(t *testing.T) {
	for name, change := range map[string]func(*clusters.Config){
		"other connections": func(c *clusters.Config) { c.Protocols = []string{"h2"} },
		"another header":    func(c *clusters.Config) { c.Headers = map[string]config.Value{"X-Key": {Text: "right"}} },
		"another check":     func(c *clusters.Config) { c.HealthCheck = checks(t, "mcp"); c.HealthCheck.Path = "/right" },
		"another query":     func(c *clusters.Config) { c.Endpoints = []string{"http://" + one + "?key=right"} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPatient()
				p.set(one, errors.New("refused by the old means"))
				opts := clusters.Options{Probers: mcp(p)}
				cfg := checked(t)
				cfg.Endpoints = []string{"http://" + one + "?key=wrong"}
				first := newSet(t, opts, cfg)
				time.Sleep(5 * time.Second)
				was := get(t, first, "c").Endpoints()[0]
				if !was.Unhealthy() {
					t.Fatalf("%+v", was.Status())
				}
				gone, cancel := context.WithCancel(t.Context())
				cancel()
				_, _ = was.RoundTrip(peertest.Request(t, "GET", "/", "").WithContext(gone)) // is counted
				change(&cfg)
				p.set(one, nil)
				next := prepare(t, first, opts, cfg)
				next.Warm(t.Context())
				c := get(t, next, "c")
				if ill := c.Ill(); len(ill) != 0 && !ill[0].Earlier {
					t.Errorf("told of the new generation: %+v", ill)
				}
				if !was.Unhealthy() {
					t.Error("the committed set took over what the prepared one found")
				}
				next.Commit()
				is := c.Endpoints()[0]
				if is.Unhealthy() {
					t.Errorf("it is unhealthy without a check: %+v", is.Status())
				}
				synctest.Wait()
				if !is.Healthy() {
					t.Errorf("one success was not enough: %+v", is.Status())
				}
				if n := is.Status().Requests; n != 1 {
					t.Errorf("%d requests are counted, one was before", n)
				}
			})
		})
	}
}

func TestIllHealthStaysWhereNothingSpeaksAgainstIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPatient()
		p.set(one, errors.New("ill"))
		opts := clusters.Options{Probers: mcp(p)}
		first := newSet(t, opts, checked(t))
		time.Sleep(5 * time.Second)
		p.mu.Lock()
		p.check = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		p.mu.Unlock()
		cfg := checked(t)
		cfg.Balancing = "round_robin"
		next := prepare(t, first, opts, cfg)
		next.Warm(t.Context())
		c := get(t, next, "c")
		if ill := c.Ill(); len(ill) != 1 || !ill[0].Earlier || ill[0].LastError.Error() != "ill" {
			t.Errorf("%+v", ill)
		}
		next.Commit()
		if st := c.Endpoints()[0].Status(); st.Health != clusters.Unhealthy || st.LastError.Error() != "ill" {
			t.Errorf("%+v", st)
		}
		cfg.HealthCheck = nil
		if ill := get(t, prepare(t, next, opts, cfg), "c").Ill(); len(ill) != 0 {
			t.Errorf("told of a cluster without checks: %+v", ill)
		}
	})
}

func TestHealthChecksCanBeTurnedOffAndOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPatient()
		p.set(one, errors.New("ill"))
		opts := clusters.Options{Probers: mcp(p)}
		on := newSet(t, opts, checked(t))
		time.Sleep(5 * time.Second)
		cfg := checked(t)
		cfg.HealthCheck = nil
		off := prepare(t, on, opts, cfg)
		off.Commit()
		if st := get(t, off, "c").Endpoints()[0].Status(); st.Health != clusters.Unchecked || !st.Health.Good() {
			t.Errorf("off: %+v", st)
		}
		again := prepare(t, off, opts, checked(t))
		again.Commit()
		if got := get(t, again, "c").Endpoints()[0].Status().Health; got != clusters.Warming {
			t.Errorf("on again: %s", got)
		}
	})
}

func TestAPanickingProbeIsAFailedCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPatient()
		p.check = func(context.Context) error { panic("oh") }
		set := newSet(t, clusters.Options{Probers: mcp(p)}, checked(t))
		time.Sleep(2 * time.Second)
		if st := get(t, set, "c").Endpoints()[0].Status(); st.Health != clusters.Unhealthy || !strings.Contains(st.LastError.Error(), "oh") {
			t.Errorf("%+v", st)
		}
	})
}

func TestAnMCPClusterIsCheckedByDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPatient()
		served, other := cluster(t, "served", "http://"+one), cluster(t, "other", "http://"+two)
		served.CheckedByDefault = true
		newSet(t, clusters.Options{Probers: mcp(p)}, served, other)
		synctest.Wait()
		if p.count(one) != 1 || p.count(two) != 0 {
			t.Errorf("checks: %v", p.checks)
		}
	})
}
