package clusters_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// net/http takes all of Connection away where it holds "close".
func TestTheFieldConnectionOfAnAnswerIsSeen(t *testing.T) {
	ca := tlstest.NewCA(t, "CA")
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, b, _ := http.NewResponseController(w).Hijack()
		_, _ = io.WriteString(b, "HTTP/1.1 103 Early Hints\r\nConnection: X-B\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close, X-A\r\nContent-Length: 2\r\n\r\nok")
		_ = b.Flush()
		c.Close()
	})
	plain, secure := serve(t, "", nil, handler), serve(t, "", ca, handler)
	overTLS := cluster(t, "tls", "https://"+secure.addr)
	overTLS.TLS, overTLS.Protocols = identity(t, ca, "client"), []string{"http/1.1"}
	s := newSet(t, clusters.Options{}, cluster(t, "plain", "http://"+plain.addr), overTLS)
	for _, name := range []string{"plain", "tls"} {
		for range 2 {
			res, err := get(t, s, name).RoundTrip(request(t, "GET", "/", ""))
			if err != nil {
				t.Fatal(err)
			}
			if got := res.Header["Connection"]; read(t, res) != "ok" || len(got) != 1 || got[0] != "close, X-A" {
				t.Errorf("%s: %q", name, got)
			}
		}
	}
}
