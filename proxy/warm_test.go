package proxy

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/admin"
)

// What a start waits for shows while it waits, and not after.
func TestAWaitForHealthChecksIsToldWhileItLasts(t *testing.T) {
	release := make(chan struct{})
	answer := sync.OnceFunc(func() { close(release) })
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer slow.Close()
	defer answer()
	fast := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer fast.Close()
	const line = "waiting for the first health check of clusters before the file is applied, at most until reload.warm_timeout ends: "
	yaml := `reload: {watch: false, warm_timeout: 1m}
listeners: [{name: public, address: "127.0.0.1:0"}]
clusters:
  - {name: fast, endpoints: ["` + fast.URL + `"], health_check: {kind: http, timeout: 1m}}
  - {name: unchecked, endpoints: ["` + slow.URL + `"]}
`
	p := idle(t, "", yaml+`  - {name: slow, endpoints: ["`+slow.URL+`"], health_check: {kind: http, timeout: 1m}}`+"\n")
	p.shared.reportWaitAfter = time.Millisecond
	p.begin()
	testkit.Retry(t, "the log to name the cluster", func() error {
		if logs := p.logs.String(); !strings.Contains(logs, line+"slow\"") && !strings.Contains(logs, line+"fast, slow\"") || !strings.Contains(logs, `"until":"`) {
			return fmt.Errorf("%s", logs)
		}
		return nil
	})
	if p.shared.ready.Load() {
		t.Error("the gateway is ready before the health check has answered")
	}
	answer()
	p.serves()
	// Nothing is waited for where what is new has no checks.
	told := strings.Count(p.logs.String(), line)
	if o := p.apply(yaml); o.Result != admin.Applied || strings.Count(p.logs.String(), line) != told {
		t.Errorf("%v\n%s", o, p.logs)
	}
}
