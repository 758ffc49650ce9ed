package http3_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

const chromiumConfig = `
listeners:
  - name: public
    address: 127.0.0.1:0
    protocols: [http/1.1, h2, h3]
    tls: {certificates: [{cert: server.crt, key: server.key}]}
routes:
  - match: {path: /page}
    respond: {content_type: "text/html", body: "<html><body><p id=a>waiting</p><script>fetch('/part').then(r => r.text()).then(x => document.getElementById('a').textContent = x)</script></body></html>"}
  - match: {path: /part}
    respond: {content_type: "text/plain", body: "came over the same connection"}
`

// chromium has a gateway on chromiumConfig load a page in a browser, which
// shares no code with it.
func chromium(t *testing.T, args func(host string) []string) *harness.Gateway {
	t.Helper()
	ca, dir := tlstest.NewCA(t, "CA"), harness.ShortDir(t)
	cert, key := ca.Server(t, "localhost", "127.0.0.1")
	tlstest.WritePair(t, dir, "server", cert, key)
	g := harness.Start(t, dir, chromiumConfig)
	spki := sha256.Sum256(tlstest.Certificate(t, cert, key).Leaf.RawSubjectPublicKeyInfo)
	host := "127.0.0.1:" + g.Port("public")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "chromium", append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--user-data-dir=" + harness.ShortDir(t),
		"--ignore-certificate-errors-spki-list=" + base64.StdEncoding.EncodeToString(spki[:]),
		"--virtual-time-budget=5000", "--dump-dom", "https://" + host + "/page"}, args(host)...)...)
	cmd.WaitDelay = time.Second // its children keep what it writes to open
	var says strings.Builder
	cmd.Stderr = &says
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), "came over the same connection") {
		t.Fatalf("%v\n%s\n%s", err, out, harness.Tail(says.String(), 3000))
	}
	return g
}

// over checks which version of HTTP the page and its part were loaded by.
func over(g *harness.Gateway, protocol string) {
	g.T.Helper()
	for _, path := range []string{"/page", "/part"} {
		g.Eventually("the line of "+path, func() error {
			for _, l := range g.LogLines() {
				if l["path"] != path {
					continue
				}
				if l["protocol"] != protocol {
					return testkit.Fatal(fmt.Errorf("it came over %v, want %s", l["protocol"], protocol))
				}
				return nil
			}
			return errors.New("there is none")
		})
	}
}

func TestChromiumLoadsAPageOverHTTP3(t *testing.T) {
	t.Parallel()
	over(chromium(t, func(host string) []string { return []string{"--origin-to-force-quic-on=" + host} }), "HTTP/3.0")
}

// The key exchange that a quantum computer does not break is agreed on with
// others than Go's own client.
func TestChromiumAgreesOnAPostQuantumKeyExchange(t *testing.T) {
	t.Parallel()
	log := filepath.Join(harness.ShortDir(t), "net.json")
	over(chromium(t, func(string) []string { return []string{"--log-net-log=" + log, "--disable-quic"} }), "HTTP/2.0")
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	const x25519MLKEM768 = `"key_exchange_group":4588,"next_proto":"h2"`
	if !strings.Contains(string(data), x25519MLKEM768) {
		t.Errorf("no handshake with X25519MLKEM768: %s", regexp.MustCompile(`"key_exchange_group":\d+`).FindAllString(string(data), -1))
	}
}
