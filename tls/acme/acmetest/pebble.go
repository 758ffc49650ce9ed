package acmetest

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
)

// startTimeout is long, since the first start may have to build Pebble.
const startTimeout = 30 * time.Second

// Options are what differs between Pebbles.
type Options struct {
	// HTTPPort and TLSPort are where the challenges are sent to, on 127.0.0.1;
	// 0 picks a free one.
	HTTPPort, TLSPort int
	// Validity of the certificates, in whole seconds; 0 is 90 days.
	Validity time.Duration
	// ExternalAccounts, when there are any, are required: key identifiers with
	// their MAC keys in base64url.
	ExternalAccounts map[string]string
}

// Pebble is a running, or stopped, ACME server.
type Pebble struct {
	// Directory is the URL of its ACME directory.
	Directory string
	// CAFile is a PEM file with the CA of its HTTPS certificate.
	CAFile string
	// CA is the content of CAFile.
	CA []byte
	// HTTPPort and TLSPort are where it sends challenges to.
	HTTPPort, TLSPort int

	t          testing.TB
	binary     string
	config     string
	dns        string
	management string
	log        *testkit.Buffer
	cmd        *exec.Cmd
	exited     chan struct{}
}

// Start starts a Pebble, which ends with the test.
func Start(t testing.TB, o Options) *Pebble {
	t.Helper()
	dir := t.TempDir()
	certFile, keyFile, ca := writeServerCertificate(t, dir)
	p := &Pebble{
		t: t, binary: build(t), log: &testkit.Buffer{}, dns: startDNS(t),
		CAFile: certFile, CA: ca, HTTPPort: o.HTTPPort, TLSPort: o.TLSPort,
		config: filepath.Join(dir, "pebble.json"),
	}
	// Held together until all are known, so that no two are the same.
	ports := testkit.FreePorts(t, 4)
	if p.HTTPPort == 0 {
		p.HTTPPort = ports[2]
	}
	if p.TLSPort == 0 {
		p.TLSPort = ports[3]
	}
	address := fmt.Sprintf("127.0.0.1:%d", ports[0])
	p.management = fmt.Sprintf("127.0.0.1:%d", ports[1])
	p.Directory = "https://" + address + "/dir"
	validity := o.Validity
	if validity == 0 {
		validity = 90 * 24 * time.Hour
	}
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress":                  address,
		"managementListenAddress":        p.management,
		"certificate":                    certFile,
		"privateKey":                     keyFile,
		"httpPort":                       p.HTTPPort,
		"tlsPort":                        p.TLSPort,
		"externalAccountBindingRequired": len(o.ExternalAccounts) > 0,
		"externalAccountMACKeys":         o.ExternalAccounts,
		"keyAlgorithm":                   "ecdsa",
		"retryAfter":                     map[string]int{"authz": 1, "order": 1},
		"profiles": map[string]any{"default": map[string]any{
			"description": "test", "validityPeriod": int(validity / time.Second),
		}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.config, config, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Stop()
		if t.Failed() {
			t.Logf("Pebble:\n%s", p.Log())
		}
	})
	p.Restart()
	return p
}

// build makes the binary that go.mod names as a tool; the build cache keeps it.
func build(t testing.TB) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command("go", "tool", "-n", "pebble")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("build Pebble: %v\n%s", err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// Stop kills the server, as an outage would; it may be stopped already.
func (p *Pebble) Stop() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	<-p.exited
	p.cmd = nil
}

// Restart stops the server if it runs, and starts it on the same ports. It has
// forgotten everything: accounts, orders, and the root it issued from.
func (p *Pebble) Restart() {
	p.t.Helper()
	p.Stop()
	p.cmd = exec.Command(p.binary, "-config", p.config, "-dnsserver", p.dns)
	p.cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0", "PEBBLE_AUTHZREUSE=0")
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		p.t.Fatalf("start Pebble: %v", err)
	}
	p.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) {
		defer close(exited)
		_ = cmd.Wait()
	}(p.cmd, p.exited)
	p.get(p.Directory)
	p.get("https://" + p.management + "/roots/0")
}

// Roots is the root of what the server issues since it was started last.
func (p *Pebble) Roots() *x509.CertPool {
	p.t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(p.get("https://" + p.management + "/roots/0")) {
		p.t.Fatal("Pebble's root is no certificate")
	}
	return pool
}

// SuggestRenewal makes the server suggest a window for the renewal of a
// certificate.
func (p *Pebble) SuggestRenewal(leaf *x509.Certificate, start, end time.Time) {
	p.t.Helper()
	suggestion, err := json.Marshal(map[string]any{"suggestedWindow": map[string]time.Time{"start": start, "end": end}})
	if err != nil {
		p.t.Fatal(err)
	}
	body, err := json.Marshal(map[string]string{
		"certificate": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})),
		"ariResponse": string(suggestion),
	})
	if err != nil {
		p.t.Fatal(err)
	}
	client := httpClient(p.t, p.CA)
	defer client.CloseIdleConnections()
	resp, err := client.Post("https://"+p.management+"/set-renewal-info/", "application/json", bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		p.t.Fatalf("Pebble takes no suggestion: %s", resp.Status)
	}
}

// Log is what the server wrote so far.
func (p *Pebble) Log() string { return p.log.String() }

// Issued counts the certificates that the server has issued, over all restarts.
func (p *Pebble) Issued() int { return strings.Count(p.Log(), "Issued certificate serial") }

// get waits until the server answers.
func (p *Pebble) get(url string) []byte {
	p.t.Helper()
	client := httpClient(p.t, p.CA)
	defer client.CloseIdleConnections()
	deadline := time.After(startTimeout)
	for {
		resp, err := client.Get(url)
		if err == nil {
			body, readErr := io.ReadAll(resp.Body)
			resp.Body.Close()
			if readErr == nil && resp.StatusCode == http.StatusOK {
				return body
			}
			err = fmt.Errorf("%s: %w", resp.Status, readErr)
		}
		select {
		case <-p.exited:
			p.t.Fatalf("Pebble ended:\n%s", p.Log())
		case <-deadline:
			p.t.Fatalf("Pebble does not answer: %v\n%s", err, p.Log())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
