package routes

import (
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/filter"
)

// While an upstream does not read, the gateway does not, and so net/http does not
// see the end of the client's connection.
func TestAnUploadThatTheUpstreamDoesNotReadEndsWithItsClient(t *testing.T) {
	for name, end := range map[string]func(*gateway, net.Conn){
		"the client hangs up":       func(_ *gateway, c net.Conn) { c.Close() },
		"the connection is cut":     func(g *gateway, _ net.Conn) { g.server.Close() },
		"the client resets, unread": func(_ *gateway, c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			started, ended := make(chan struct{}), make(chan struct{})
			server := upstreamH2C(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				close(started)
				<-r.Context().Done()
				close(ended)
			}))
			g := start(t, `
routes: [{match: {path_prefix: /}, cluster: up, timeout: 0s, stream_idle_timeout: 0s}]
clusters: [{name: up, endpoints: ['%s'], protocols: [h2]}]
`, server)
			c := g.dial()
			fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", 1<<30)
			<-started
			const window = 1 << 20 // of the upstream
			if _, err := c.Write(make([]byte, window+16<<10)); err != nil {
				t.Fatal(err)
			}
			end(g, c)
			select {
			case <-ended:
			case <-time.After(10 * time.Second):
				t.Fatal("the upload goes on without its client")
			}
			if e := g.entry(); e.Flag != filter.FlagDownstreamConnectionTermination {
				t.Errorf("the access log has %q", e.Flag)
			}
		})
	}
}
