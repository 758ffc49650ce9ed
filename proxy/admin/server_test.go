package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// source is a gateway that answers what a test wants.
type source struct {
	status Status
	reload func(ctx context.Context) (Outcome, error)
}

func (s *source) Status() Status { return s.status }

func (s *source) Reload(ctx context.Context) (Outcome, error) { return s.reload(ctx) }

// listen serves the API of src at address.
func listen(t *testing.T, address string, src Source) *Server {
	t.Helper()
	s, err := Listen(Config{Address: address}, src, MetricsPage(prometheus.NewRegistry(), src))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func serve(t *testing.T, src Source) (base string) {
	t.Helper()
	s := listen(t, "127.0.0.1:0", src)
	s.Serve()
	t.Cleanup(func() { s.Close(t.Context()) })
	return "http://" + s.Addr().String()
}

func send(t *testing.T, method, url string, edit func(*http.Request)) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	edit(req)
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// A page in the operator's browser can reach loopback, by its own origin or by
// a name that it points there.
func TestWhatAWebPageCouldSendIsRefused(t *testing.T) {
	base := serve(t, &source{})
	host := func(h string) func(*http.Request) { return func(r *http.Request) { r.Host = h } }
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for _, c := range []struct {
		name string
		edit func(*http.Request)
		want int
	}{
		{"curl", func(*http.Request) {}, http.StatusOK},
		{"localhost", host("localhost:9901"), http.StatusOK},
		{"another loopback address", host("[::1]:9901"), http.StatusOK},
		{"the address bar", header("Sec-Fetch-Site", "none"), http.StatusOK},
		{"a rebound name", host("evil.example:9901"), http.StatusForbidden},
		{"a name that begins like loopback", host("127.0.0.1.evil.example"), http.StatusForbidden},
		{"no name", host("[::]:9901"), http.StatusForbidden},
		{"another origin", header("Origin", "https://evil.example"), http.StatusForbidden},
		{"an opaque origin", header("Origin", "null"), http.StatusForbidden},
		{"another port of this machine", header("Sec-Fetch-Site", "same-site"), http.StatusForbidden},
		{"another site, without Origin", header("Sec-Fetch-Site", "cross-site"), http.StatusForbidden},
	} {
		if got, body := send(t, http.MethodGet, base+"/status", c.edit); got != c.want {
			t.Errorf("%s: %d %s, want %d", c.name, got, body, c.want)
		}
	}
}

func TestReloadAnswersByTheOutcome(t *testing.T) {
	src := &source{}
	base := serve(t, src)
	for _, c := range []struct {
		outcome Outcome
		err     error
		want    int
		body    string
	}{
		{Outcome{Result: Applied, Summary: "1 route"}, nil, http.StatusOK, `"summary": "1 route"`},
		{Outcome{Result: Unchanged}, nil, http.StatusOK, `"result": "unchanged"`},
		{Outcome{Result: Rejected, Errors: []string{"wrong"}}, nil, http.StatusUnprocessableEntity, `"wrong"`},
		{Outcome{}, errors.New("the gateway is shutting down"), http.StatusServiceUnavailable, `"code": "shutting_down"`},
	} {
		src.reload = func(context.Context) (Outcome, error) { return c.outcome, c.err }
		got, body := send(t, http.MethodPost, base+"/reload", func(*http.Request) {})
		if got != c.want || !strings.Contains(body, c.body) {
			t.Errorf("%+v: %d %s", c.outcome, got, body)
		}
	}
	if got, _ := send(t, http.MethodGet, base+"/reload", func(*http.Request) {}); got != http.StatusMethodNotAllowed {
		t.Errorf("GET /reload: %d", got)
	}
}

func TestAReloadMayTakeLongerThanReadTimeout(t *testing.T) {
	const timeout = 50 * time.Millisecond
	s := listen(t, "127.0.0.1:0", &source{reload: func(ctx context.Context) (Outcome, error) {
		select {
		case <-ctx.Done():
			return Outcome{}, ctx.Err()
		case <-time.After(4 * timeout):
			return Outcome{Result: Applied}, nil
		}
	}})
	s.http.ReadTimeout = timeout
	s.Serve()
	defer s.Close(t.Context())
	if got, body := send(t, http.MethodPost, "http://"+s.Addr().String()+"/reload", func(*http.Request) {}); got != http.StatusOK {
		t.Errorf("%d %s", got, body)
	}
}

// The request that removes the server is answered by it, and the address can be
// bound again before that.
func TestAnAddressIsFreeAtOnceAndTheLastRequestIsAnswered(t *testing.T) {
	dir, err := os.MkdirTemp("", "gw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	for _, address := range []string{"unix:" + filepath.Join(dir, "a.sock"), free.Addr().String()} {
		src := &source{}
		old := listen(t, address, src)
		old.Serve()
		var next *Server
		src.reload = func(context.Context) (Outcome, error) {
			old.Unbind()
			next = listen(t, address, src)
			next.Serve()
			return Outcome{Result: Applied}, nil
		}
		c := NewClient(address)
		if o, err := c.Reload(context.Background()); err != nil || o.Result != Applied {
			t.Errorf("%s: %+v, %v", address, o, err)
		}
		old.Close(t.Context())
		if _, err := c.Status(context.Background()); err != nil {
			t.Errorf("%s: the next server is not reached: %v", address, err)
		}
		next.Close(t.Context())
		if path, ok := strings.CutPrefix(address, "unix:"); ok {
			if _, err := os.Lstat(path); !os.IsNotExist(err) {
				t.Errorf("the socket's file is left: %v", err)
			}
		}
	}
}

func TestTheUnixSocketIsForItsOwnerAndTakesOverOnlyFromTheDead(t *testing.T) {
	dir, err := os.MkdirTemp("", "gw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "a.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: path})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	s := listen(t, "unix:"+path, &source{})
	defer s.Unbind()
	st, err := os.Lstat(path)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := Listen(Config{Address: "unix:" + path}, &source{}, nil); err == nil || !strings.Contains(err.Error(), "another process answers on "+path) {
		t.Errorf("got %v", err)
	}
}

// One bad name must not cost the operator the whole scrape.
func TestAScrapeOutlivesForeignNamesAndPairsNamedTwice(t *testing.T) {
	cert := Certificate{Use: "listener public", Subject: "a\xffb", Serial: "01", NotAfter: time.Now()}
	base := serve(t, &source{status: Status{
		Certs:    []Certificate{cert, cert},
		Clusters: []Cluster{{Name: "c", Endpoints: []Endpoint{{URL: "http://a", Address: "1.2.3.4:80"}, {URL: "http://a", Address: "1.2.3.4:80"}}}},
	}})
	got, body := send(t, http.MethodGet, base+"/metrics", func(*http.Request) {})
	want := fmt.Sprintf("subject=%q", "a\uFFFDb")
	if got != http.StatusOK || strings.Count(body, want) != 1 || !strings.Contains(body, `mcpgateway_cluster_endpoint_active{address="1.2.3.4:80",cluster="c",endpoint="http://a"} 0`) {
		t.Errorf("%d, without %s:\n%s", got, want, body)
	}
}
