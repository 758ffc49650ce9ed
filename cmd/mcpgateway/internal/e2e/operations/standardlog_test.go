package operations_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
)

// An upstream that answers what was not asked is a complaint of net/http, which
// has a log of its own.
func TestWhatTheStandardLibraryLogsIsInTheLog(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				io.WriteString(c, strings.Repeat("HTTP/1.1 204 No Content\r\n\r\n", 2))
			}
		}
	}()
	g := harness.Start(t, harness.ShortDir(t), fmt.Sprintf(`
listeners: [{name: plain, address: "127.0.0.1:0"}]
routes: [{match: {path_prefix: /}, cluster: api}]
clusters: [{name: api, endpoints: ["http://%s"]}]
`, l.Addr()))
	if status, _, _ := harness.Get(t, &http.Client{}, "http://"+g.Address("plain")+"/"); status != http.StatusNoContent {
		t.Fatalf("status %d", status)
	}
	g.Eventually("the complaint", func() error {
		for _, line := range g.LogLines() {
			if text, _ := line["complaint"].(string); strings.Contains(text, "Unsolicited response") {
				return nil
			}
		}
		return errors.New(g.Logs.String())
	})
}
