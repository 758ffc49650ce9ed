package main_test

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os/exec"
	"strings"
	"testing"

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

// A browser, which shares no code with the gateway, loads a page and what its
// script asks for over HTTP/3.
func TestChromiumLoadsAPageOverHTTP3(t *testing.T) {
	t.Parallel()
	ca, dir := tlstest.NewCA(t, "CA"), shortDir(t)
	cert, key := ca.Server(t, "localhost", "127.0.0.1")
	tlstest.WritePair(t, dir, "server", cert, key)
	g := start(t, dir, chromiumConfig)
	block, _ := pem.Decode(cert)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	spki := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	host := "127.0.0.1:" + g.port("public")
	cmd := exec.Command("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--user-data-dir="+shortDir(t), "--origin-to-force-quic-on="+host,
		"--ignore-certificate-errors-spki-list="+base64.StdEncoding.EncodeToString(spki[:]),
		"--virtual-time-budget=5000", "--dump-dom", "https://"+host+"/page")
	var says strings.Builder
	cmd.Stderr = &says
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), "came over the same connection") {
		t.Fatalf("%v\n%s\n%s", err, out, tail(says.String(), 3000))
	}
	for _, path := range []string{"/page", "/part"} {
		over := ""
		for _, l := range g.lines() {
			if l["path"] == path {
				over, _ = l["protocol"].(string)
			}
		}
		if over != "HTTP/3.0" {
			t.Errorf("%s came over %q", path, over)
		}
	}
}
