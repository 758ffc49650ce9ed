package transport_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/mcpgateway/mcpgateway/clusters/peertest"
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
	plain, secure := peertest.Serve(t, "", nil, handler), peertest.Serve(t, "", ca, handler)
	overTLS := cluster(t, "tls", "https://"+secure.Addr)
	overTLS.TLS, overTLS.Protocols = peertest.Identity(t, ca, "client"), []string{"http/1.1"}
	for name, c := range map[string]*client{"plain": connect(t, cluster(t, "plain", "http://"+plain.Addr)), "tls": connect(t, overTLS)} {
		for range 2 {
			res, err := c.RoundTrip(peertest.Request(t, "GET", "/", ""))
			if err != nil {
				t.Fatal(err)
			}
			if got := res.Header["Connection"]; peertest.Read(t, res) != "ok" || len(got) != 1 || got[0] != "close, X-A" {
				t.Errorf("%s: %q", name, got)
			}
		}
	}
}
