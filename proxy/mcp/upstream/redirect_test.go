package upstream

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// visits notes the paths that are asked, in order.
type visits struct {
	mu    sync.Mutex
	paths []string
}

func (v *visits) note(r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.paths = append(v.paths, r.Method+" "+r.URL.RequestURI())
}

func (v *visits) String() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := strings.Join(v.paths, ", ")
	v.paths = nil
	return s
}

func TestARedirectToTheSameOriginIsFollowedAndRemembered(t *testing.T) {
	for _, status := range []int{http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		var seen visits
		server := streamableHandler(newServer(newHangs()), nil)
		absolute := status == http.StatusPermanentRedirect
		p := plainPeer(t, func(w http.ResponseWriter, r *http.Request) {
			seen.note(r)
			if r.URL.Path == "/mcp/" {
				server.ServeHTTP(w, r)
				return
			}
			to := "/mcp/"
			if absolute {
				to = "http://" + r.Host + to
			}
			http.Redirect(w, r, to, status)
		})
		var told []string
		client := &Client{OnMoved: func(cluster, _, path string) { told = append(told, cluster+" "+path) }}
		c, e := cluster(t, at(p.URL+"/mcp"))
		for range 2 {
			s := mustOpen(t, c, e, func(o *settings) { o.client = client })
			s.mustTool("echo", `{}`, nil)
			s.Close(t.Context())
		}
		got := seen.String()
		if strings.Count(got, "POST /mcp,") != 1 || !strings.Contains(got, "DELETE /mcp/") || strings.Contains(got, "DELETE /mcp,") {
			t.Errorf("%d: %s", status, got)
		}
		if len(told) != 1 || told[0] != "peer /mcp/" {
			t.Errorf("told of %q", told)
		}
	}
}

func TestRedirectsElsewhereAreNotFollowed(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("another origin was asked") }))
	defer other.Close()
	for name, location := range map[string]string{
		"port": other.URL + "/mcp", "scheme": "https://HOST/mcp/", "user": "http://a:b@HOST/mcp/", "no location": "", "itself": "/mcp",
		"another method": "/mcp/", "twice": "/again",
	} {
		var seen visits
		p := plainPeer(t, func(w http.ResponseWriter, r *http.Request) {
			seen.note(r)
			status := http.StatusTemporaryRedirect
			if name == "another method" {
				status = http.StatusFound
			}
			w.Header().Set("Location", strings.ReplaceAll(location, "HOST", r.Host))
			if r.URL.Path == "/again" {
				w.Header().Set("Location", "/third")
			}
			w.WriteHeader(status)
		})
		c, e := cluster(t, at(p.URL+"/mcp"))
		_, err := open(t, c, e, func(o *settings) { o.client = new(Client) })
		var refused *StatusError
		if !errors.As(err, &refused) || refused.Code/100 != 3 {
			t.Errorf("%s: %v", name, err)
		}
		want := "POST /mcp"
		if name == "twice" {
			want += ", POST /again"
		}
		if got := seen.String(); got != want {
			t.Errorf("%s: asked %s", name, got)
		}
	}
}

func TestAPageThatARequestIsLedToIsNotRemembered(t *testing.T) {
	p := plainPeer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/login" {
			w.Header().Set("Content-Type", "text/html")
			return
		}
		http.Redirect(w, r, "/login", http.StatusTemporaryRedirect)
	})
	client := new(Client)
	c, e := cluster(t, at(p.URL+"/mcp"))
	if _, err := open(t, c, e, func(o *settings) { o.client = client }); err == nil {
		t.Error("a page to log in at is a server")
	}
	if to := client.of(c, e).get().redirected; to != nil {
		t.Errorf("%s is remembered", to)
	}
}

func TestAPlaceThatIsGoneIsForgotten(t *testing.T) {
	server := streamableHandler(newServer(newHangs()), nil)
	p := plainPeer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/mcp" {
			http.NotFound(w, r)
			return
		}
		server.ServeHTTP(w, r)
	})
	client := new(Client)
	c, e := cluster(t, at(p.URL+"/mcp"))
	client.of(c, e).learn(func(k *spoken) { k.redirected = &url.URL{Scheme: e.URL().Scheme, Host: e.URL().Host, Path: "/old"} })
	_, _ = open(t, c, e, func(o *settings) { o.client = client })
	if to := client.of(c, e).get().redirected; to != nil {
		t.Fatalf("%s is still remembered", to)
	}
	mustOpen(t, c, e, func(o *settings) { o.client = client }).mustTool("echo", `{}`, nil)
}

func TestTheEventStreamOfAnOldServerMayMove(t *testing.T) {
	posted := make(chan string, 10)
	p := plainPeer(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/sse":
			http.Redirect(w, r, "/sse/", http.StatusTemporaryRedirect)
		case "/sse/":
			w.Header().Set("Content-Type", typeEvents)
			_, _ = w.Write([]byte("event: endpoint\ndata: messages?id=1\n\n"))
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		default:
			posted <- r.URL.RequestURI()
			w.WriteHeader(http.StatusForbidden)
		}
	})
	c, e := cluster(t, at(p.URL+"/sse"))
	c.Config().MCP.Transport = "sse"
	if _, err := open(t, c, e); err == nil {
		t.Fatal("a server that forbids all has let us in")
	}
	if got := <-posted; got != "/sse/messages?id=1" {
		t.Errorf("posted to %s", got)
	}
}
