package proxy

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
)

func TestTheLogTellsWhyALoadBalancerIsNotUnderstood(t *testing.T) {
	p := run(t, "", unwatched+`
listeners: [{name: public, address: "127.0.0.1:0", proxy_protocol: {from: [127.0.0.0/8]}}]
routes: [{match: {path_prefix: /}, respond: {}}]
`)
	for _, sent := range []string{"", "GET / HTTP/1.1\r\n\r\n"} { // the first only looks whether the port is open
		conn, err := net.Dial("tcp", p.address("public"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, sent)
		_ = conn.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, conn)
		conn.Close()
	}
	const refused = "connection rejected"
	testkit.Retry(t, "the reason in the log", func() error {
		if !strings.Contains(p.logs.String(), "does the load balancer send it?") {
			return errors.New("it is not there")
		}
		return nil
	})
	if n := strings.Count(p.logs.String(), refused); n != 1 {
		t.Errorf("the log has %d lines of refused connections, want 1", n)
	}
}
