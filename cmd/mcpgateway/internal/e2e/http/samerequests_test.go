package http_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// fussy is an upstream that fails every path once, and tells what it was sent.
type fussy struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (u *fussy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	u.mu.Lock()
	again := u.seen[r.URL.Path]
	u.seen[r.URL.Path] = true
	u.mu.Unlock()
	switch {
	case again:
	case strings.HasSuffix(r.URL.Path, "/503"):
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case strings.HasSuffix(r.URL.Path, "/reset"):
		if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}
		return
	}
	w.Header().Set("Alt-Svc", `h3=":443"; ma=2592000`)
	fmt.Fprintf(w, "%s %q %v %v", r.Method, body, r.TransferEncoding, r.Trailer)
}

// What passes over one version of HTTP passes over each.
func TestRequestsAreTheSameOverEveryTransport(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(&fussy{seen: map[string]bool{}})
	t.Cleanup(upstream.Close)
	ca, dir := tlstest.NewCA(t, "CA"), harness.ShortDir(t)
	cert, key := ca.Server(t, "localhost", "127.0.0.1")
	tlstest.WritePair(t, dir, "server", cert, key)
	g := harness.Start(t, dir, fmt.Sprintf(`
reload: {watch: false}
listeners:
  - name: public
    address: 127.0.0.1:0
    protocols: [http/1.1, h2, h3]
    tls: {certificates: [{cert: server.crt, key: server.key}]}
routes:
  - {match: {path_prefix: /}, cluster: api, retry: {attempts: 2, retry_on: ["503", reset]}}
clusters:
  - {name: api, endpoints: ["%s"]}
`, upstream.URL))
	for _, protocol := range harness.Transports {
		hc, _ := harness.ClientOf(t, protocol, ca.PEM(), nil)
		url := "https://" + g.Address("public") + "/" + strings.ReplaceAll(protocol, "/", "")
		for _, failure := range []string{"/503", "/reset"} { // a GET is tried again
			status, body, _, err := harness.Ask(hc, url+failure, "")
			if want := `GET "" [] map[]`; err != nil || status != http.StatusOK || body != want {
				t.Errorf("%s: GET of %s: %d %s, %v; want %s", protocol, failure, status, body, err, want)
			}
		}
		for _, method := range []string{http.MethodPost, http.MethodDelete} {
			body, announced := cautiously(t, hc, method, url)
			if want := method + ` "body" [chunked] map[X-Sum:[42]]`; body != want {
				t.Errorf("%s: %s, want %s", protocol, body, want)
			}
			if want := fmt.Sprintf(`h3=":%s"; ma=300`, g.Port("public")); protocol != "h3" && announced != want || protocol == "h3" && announced != "" {
				t.Errorf("%s: Alt-Svc is %q", protocol, announced)
			}
		}
	}
}

// cautiously sends a body once it is asked for, and a trailer behind it.
func cautiously(t *testing.T, hc *http.Client, method, url string) (answer, altSvc string) {
	t.Helper()
	r, w := io.Pipe()
	defer r.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got100Continue: func() {
		go func() {
			_, _ = io.WriteString(w, "body")
			w.Close()
		}()
	}})
	req, err := http.NewRequestWithContext(ctx, method, url, r)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Expect", "100-continue")
	req.Trailer = http.Header{"X-Sum": {"42"}}
	res, err := hc.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	return string(body), res.Header.Get("Alt-Svc")
}
