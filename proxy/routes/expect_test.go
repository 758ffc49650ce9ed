package routes

import (
	"io"
	"net/http"
	"testing"
)

// net/http takes Expect from a request of HTTP/2.
func TestTheUpstreamDecidesOn100ContinueForHTTP2(t *testing.T) {
	for _, proto := range []string{"http/1.1", "h2"} {
		t.Run(proto, func(t *testing.T) {
			answer := func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-Wanted") == "" {
					w.WriteHeader(http.StatusExpectationFailed)
					return
				}
				_, _ = io.Copy(w, r.Body)
			}
			url := upstream(t, answer)
			if proto == "h2" {
				url = upstreamH2C(t, http.HandlerFunc(answer))
			}
			g := start(t, "routes: [{match: {path_prefix: /}, cluster: up}]\nclusters: [{name: up, endpoints: ['%s'], protocols: [%s]}]", url, proto)
			f := g.http2Peer(t)
			f.request(1, false, "expect", "100-continue", "content-length", "4")
			if got := f.next(); got != "417" {
				t.Errorf("a body that is not wanted: %s", got)
			}
			f = g.http2Peer(t)
			f.request(1, false, "expect", "100-continue", "content-length", "4", "x-wanted", "yes")
			if got := f.next(); got != "100" {
				t.Errorf("a body that is wanted: %s", got)
			}
			_ = f.WriteData(1, true, []byte("data"))
			if got := f.next(); got != "200" {
				t.Errorf("after the body: %s", got)
			}
			// The upstream learns of no expectation that the client has not.
			f = g.http2Peer(t)
			f.request(1, false, "content-length", "4", "x-wanted", "yes")
			_ = f.WriteData(1, true, []byte("data"))
			if got := f.next(); got != "200" {
				t.Errorf("unasked: %s", got)
			}
		})
	}
}
