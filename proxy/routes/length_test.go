package routes

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A request of HTTP/2 whose body is not as long as it says must not look whole
// to an upstream: what is behind it there would be another request's.
func TestABodyOfAnotherLengthThanDeclaredNeverReachesTheUpstreamWhole(t *testing.T) {
	long := strings.Repeat("x", maxRetryBody+1)
	wrong := []struct {
		name   string
		fields []string
		parts  []string // of the body; the last ends the stream
	}{
		{"nothing of some", []string{"content-length", "5"}, nil},
		{"nothing of much", []string{"content-length", "70000"}, nil},
		{"less", []string{"content-length", "5"}, []string{"abcd"}},
		{"less of much", []string{"content-length", "65538"}, []string{long[:16000], long[:16000], long[:16000], long[:16000], "x"}},
		{"an end too early", []string{"content-length", "5"}, []string{""}},
		{"more", []string{"content-length", "4"}, []string{"abcde"}},
		{"more, later", []string{"content-length", "4"}, []string{"abcd", "e"}},
		{"more of much, later", []string{"content-length", "65537"}, []string{long, "e"}},
		{"more than nothing", []string{"content-length", "0"}, []string{"a"}},
		{"no number", []string{"content-length", "4x"}, []string{"abcd"}},
		{"a sign", []string{"content-length", "+4"}, []string{"abcd"}},
		{"no number, and nothing", []string{"content-length", "x"}, nil},
		{"an empty length", []string{"content-length", ""}, []string{"abcd"}},
		{"two lengths", []string{"content-length", "4", "content-length", "5"}, []string{"abcd"}},
		{"two lengths, and nothing", []string{"content-length", "0", "content-length", "5"}, nil},
		{"a trailer too early", []string{"content-length", "5", "trailer", "x-sum"}, []string{"abcd"}},
	}
	right := []struct {
		name   string
		fields []string
		parts  []string
	}{
		{"none", nil, nil},
		{"none of none", []string{"content-length", "0"}, nil},
		{"none of none, later", []string{"content-length", "0"}, []string{""}},
		{"as long", []string{"content-length", "4"}, []string{"ab", "cd"}},
		{"as long, with its end apart", []string{"content-length", "4"}, []string{"abcd", ""}},
		{"as long, and much", []string{"content-length", "65537"}, []string{long[:1000], long[1000:], ""}},
		{"of no length", nil, []string{"abcd"}},
	}
	for _, proto := range []string{"http/1.1", "h2"} {
		t.Run(proto, func(t *testing.T) {
			whole := make(chan string, 1)
			answer := func(w http.ResponseWriter, r *http.Request) {
				if body, err := io.ReadAll(r.Body); err == nil {
					whole <- string(body)
				}
			}
			url := upstream(t, answer)
			if proto == "h2" {
				url = upstreamH2C(t, http.HandlerFunc(answer))
			}
			g := start(t, "routes: [{match: {path_prefix: /}, cluster: up}]\nclusters: [{name: up, endpoints: ['%s'], protocols: [%s]}]", url, proto)
			send := func(fields, parts []string) string {
				f := g.http2Peer(t)
				f.request(1, len(parts) == 0, fields...)
				for i, part := range parts {
					_ = f.WriteData(1, i == len(parts)-1, []byte(part))
				}
				return f.next()
			}
			for _, c := range wrong {
				if got := send(c.fields, c.parts); got != "400" && got != "RST_STREAM PROTOCOL_ERROR" {
					t.Errorf("%s: %s", c.name, got)
				}
				if e := g.entry(); !strings.HasPrefix(string(e.Flag), "downstream_") {
					t.Errorf("%s: flag %s, %s", c.name, e.Flag, e.Reason)
				}
				select {
				case body := <-whole:
					t.Errorf("%s: the upstream got %.10q for a whole body", c.name, body)
				default:
				}
			}
			for _, c := range right {
				if got := send(c.fields, c.parts); got != "200" {
					t.Errorf("%s: %s", c.name, got)
				}
				g.entry()
				select {
				case body := <-whole:
					if body != strings.Join(c.parts, "") {
						t.Errorf("%s: the upstream got %q", c.name, body)
					}
				case <-time.After(10 * time.Second):
					t.Errorf("%s: the upstream got nothing", c.name)
				}
			}
		})
	}
}
