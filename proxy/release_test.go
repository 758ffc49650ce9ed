package proxy

import (
	"fmt"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"
	"weak"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/admin"
	"github.com/mcpgateway/mcpgateway/proxy/mcp"
	"github.com/mcpgateway/mcpgateway/proxy/routes"
)

// remains are weak pointers to what a generation is made of.
type remains struct {
	generation weak.Pointer[Generation]
	config     weak.Pointer[Config]
	router     weak.Pointer[routes.Router]
	clusters   weak.Pointer[clusters.Set]
	handler    weak.Pointer[mcp.Handler]
}

func (p *process) remains() remains {
	gen := p.shared.generations.newest()
	return remains{weak.Make(gen), weak.Make(gen.config), weak.Make(gen.router), weak.Make(gen.clusters), weak.Make(gen.mcp[0])}
}

func (r remains) left() string {
	var left []string
	for name, is := range map[string]bool{
		"generation": r.generation.Value() != nil, "config": r.config.Value() != nil, "router": r.router.Value() != nil,
		"clusters": r.clusters.Value() != nil, "MCP handler": r.handler.Value() != nil,
	} {
		if is {
			left = append(left, name)
		}
	}
	return strings.Join(left, ", ")
}

// collected waits until the garbage collector has taken everything.
func (r remains) collected(t *testing.T, p *process) {
	t.Helper()
	testkit.Retry(t, "the generation to be collected", func() error {
		runtime.GC()
		if left := r.left(); left != "" {
			return fmt.Errorf("left: %s; %+v", left, p.Status().Draining)
		}
		return nil
	})
}

// mcpYAML is a file with a route of every kind of action that holds on to
// something; edit makes another generation of it.
func mcpYAML(upstream, edit string) string {
	return unwatched + `
drain: {close_spread: 0s}
listeners:
  - {name: public, address: "127.0.0.1:0"}
  - {name: other, address: "127.0.0.1:0", limits: {max_connections: 1` + edit + `}}
clusters:
  - {name: api, endpoints: ["` + upstream + `"]}
  - {name: tools, endpoints: ["` + upstream + `/mcp"], health_check: {kind: tcp}}
  - {name: edited, endpoints: ["` + upstream + `/` + edit + `"], health_check: {kind: tcp}}
routes:
  - {match: {path: /mcp}, listeners: [all], mcp: {clusters: [tools]}}
  - {match: {path: /edited}, listeners: [all], respond: {body: "` + edit + `"}}
  - {match: {path_prefix: /}, listeners: [all], cluster: api}
`
}

func TestAReleasedGenerationIsCollected(t *testing.T) {
	upstream := api(t).URL
	p := run(t, "", mcpYAML(upstream, "0"))
	for i := 1; i <= 3; i++ {
		old := p.remains()
		for _, l := range []string{"public", "other"} {
			expectBody(t, "http://"+p.address(l)+"/x", "api")
		}
		p.mustApply(mcpYAML(upstream, fmt.Sprint(i)))
		expectBody(t, "http://"+p.address("public")+"/edited", fmt.Sprint(i))
		p.settled()
		old.collected(t, p)
	}
}

func TestAGenerationServesItsStreamAndIsReleasedWithIt(t *testing.T) {
	upstream := api(t).URL
	p := run(t, "", mcpYAML(upstream, "0"))
	closeIt, ended := stream(t, "http://"+p.address("public"))
	old := p.remains()
	p.mustApply(mcpYAML(upstream, "1"))
	p.mustApply(mcpYAML(upstream, "2"))
	testkit.Retry(t, "the generation between to be released, and no other", func() error {
		if d := p.Status().Draining; len(d) != 1 || d[0].Generation != 1 || d[0].Requests != 1 || d[0].Connections != 0 {
			return fmt.Errorf("%+v", d)
		}
		return nil
	})
	select {
	case err := <-ended:
		t.Errorf("the stream ended: %v", err)
	default:
	}
	closeIt()
	p.settled()
	old.collected(t, p)
}

func TestSeriesEndWithTheGenerationThatHadThem(t *testing.T) {
	const listener = unwatched + "drain: {close_spread: 0s}\nlisteners: [{name: public, address: \"127.0.0.1:0\"}"
	one, two := api(t).URL, api(t).URL
	with := func(endpoint, more string) string {
		return listener + more + "]\nclusters: [{name: api, endpoints: [\"" + endpoint + "\"]}]\nroutes: [{name: api, listeners: [all], match: {path_prefix: /}, cluster: api}]"
	}
	p := run(t, "", with(one, ", {name: gone, address: \"127.0.0.1:0\"}"))
	scrape := func() string {
		w := httptest.NewRecorder()
		p.metrics.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		return w.Body.String()
	}
	expect := func(want bool, series ...string) {
		t.Helper()
		testkit.Retry(t, "the series to be right", func() error {
			text := scrape()
			for _, s := range series {
				if strings.Contains(text, s) != want {
					return fmt.Errorf("%s is there: %t", s, !want)
				}
			}
			return nil
		})
	}
	expectBody(t, "http://"+p.address("gone"), "api")
	first := []string{`listener="gone"`, `mcpgateway_cluster_requests_total{cluster="api",code="200",endpoint="` + one + `"} 1`}
	expect(true, first...)
	p.mustApply(with(two, ""))
	expectBody(t, "http://"+p.address("public"), "api")
	expect(false, first...)
	second := []string{`mcpgateway_cluster_requests_total{cluster="api",code="200",endpoint="` + two + `"}`, `mcpgateway_requests_total{code="200",flag="",route="api"} 2`}
	expect(true, second...)

	// A call that outlives its cluster does not bring its series back.
	closeIt, _ := stream(t, "http://"+p.address("public"))
	p.mustApply(listener + "]\nroutes: [{match: {path: /}, respond: {status: 204}}]")
	expect(true, second...)
	closeIt()
	p.settled()
	expect(false, `cluster="api"`, `route="api"`)
}

// The numbers that have a meaning of their own at zero.
func TestZeroDurationsMeanAtOnce(t *testing.T) {
	upstream := api(t).URL
	yaml := func(max int) string {
		return fmt.Sprintf("reload: {watch: false, warm_timeout: 0s}\ndrain: {timeout: 0s, close_spread: 0s}\nshutdown: {timeout: 0s}\n"+
			"listeners: [{name: public, address: \"127.0.0.1:0\", limits: {max_connections: %d}}]\n"+
			"clusters: [{name: api, endpoints: [\"%s\"], health_check: {kind: tcp}}]\nroutes: [{match: {path_prefix: /}, cluster: api}]", max, upstream)
	}
	p := run(t, "", yaml(7))
	testkit.Retry(t, "the cluster to be healthy", func() error {
		if p.Status().Clusters[0].Healthy != 1 {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	open := func() <-chan error { _, ended := stream(t, "http://"+p.address("public")); return ended }
	expectEnd := func(ended <-chan error) {
		t.Helper()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the stream was cut: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("the stream goes on")
		}
	}
	ended := open()
	if o := p.apply(yaml(8)); o.Result != admin.Applied {
		t.Fatalf("%+v", o)
	}
	expectEnd(ended)
	p.settled()
	ended = open()
	p.stop()
	expectEnd(ended)
	p.ended()
}
