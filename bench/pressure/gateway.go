package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	cryptotls "crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// gateway is a running process.
type gateway struct {
	cmd     *exec.Cmd
	log     *os.File
	address string
	trust   *x509.CertPool
	done    chan struct{}
}

// configuration has the address, the honest and the other upstream, and the limit
// in MiB.
const configuration = `
memory: {limit: %[4]dMiB}
log: {access: false}
listeners:
  - {name: public, address: "%[1]s", protocols: [http/1.1, h2, h3], tls: {certificates: [{cert: server.crt, key: server.key}]}, limits: {max_connections_per_address: 0}}
clusters:
  - {name: honest, endpoints: ["%[2]s"]}
  - {name: server, endpoints: ["%[3]s"]}
  - {name: command, command: [sh, command.sh]}
routes:
  - {match: {path: /health}, health: ready}
  - {name: honest, match: {path: /honest}, mcp: {clusters: [honest]}}
  - name: mcp
    match: {path: /mcp}
    mcp: {clusters: [server], timeouts: {session_idle: 40s}, sse: {path: /mcp/sse}, websocket: {path: /mcp/ws}, resume: {events: 100000, bytes: 256MiB}}
  - {match: {path: /file}, cluster: server}
  - name: command
    match: {path: /command}
    mcp: {clusters: [command]}
`

// command is an MCP server of the standard input and output, whose tools answer
// with nearly 16 MiB.
const command = `while IFS= read -r line; do
	id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
	case $line in
	*'"initialize"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"shell","version":"1"}}}\n' "$id" ;;
	*'"server/discover"'*) printf '{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"unknown method"}}\n' "$id" ;;
	*'"tools/call"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"' "$id"; head -c 16000000 /dev/zero | tr '\0' x; printf '"}]}}\n' ;;
	*'"id":'*) printf '{"jsonrpc":"2.0","id":%s,"result":{}}\n' "$id" ;;
	esac
done
`

// start runs the binary in dir, and waits until it listens.
func start(binary, dir, honest, other string, limit int) (*gateway, error) {
	g := &gateway{trust: x509.NewCertPool(), done: make(chan struct{})}
	if err := g.certify(dir); err != nil {
		return nil, err
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g.address = free.Addr().String()
	_ = free.Close()
	files := map[string]string{"config.yaml": fmt.Sprintf(configuration, g.address, honest, other, limit*4/5), "command.sh": command}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	if g.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		return nil, err
	}
	g.cmd = exec.Command(binary, "run", "-c", "config.yaml")
	g.cmd.Dir, g.cmd.Stderr = dir, g.log
	if err := g.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(g.done)
		_ = g.cmd.Wait() // the log says how it ended
	}()
	for deadline := time.Now().Add(20 * time.Second); ; {
		conn, err := net.Dial("tcp", g.address)
		if err == nil {
			return g, conn.Close()
		}
		if g.over() || time.Now().After(deadline) {
			defer g.stop()
			return nil, fmt.Errorf("the gateway does not listen: %s", g.tail())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// certify makes the certificate of localhost.
func (g *gateway) certify(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	for name, block := range map[string]*pem.Block{"server.crt": {Type: "CERTIFICATE", Bytes: cert}, "server.key": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			return err
		}
	}
	parsed, err := x509.ParseCertificate(cert)
	if err != nil {
		return err
	}
	g.trust.AddCert(parsed)
	return nil
}

func (g *gateway) tls() *cryptotls.Config { return &cryptotls.Config{RootCAs: g.trust} }

// over reports whether the process has ended.
func (g *gateway) over() bool {
	select {
	case <-g.done:
		return true
	default:
		return false
	}
}

// resident is how much of the machine's memory the process has, in bytes, without
// mapped files.
func (g *gateway) resident() (bytes int) {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.cmd.Process.Pid))
	for line := range strings.Lines(string(status)) {
		if n, _ := fmt.Sscanf(line, "RssAnon: %d kB", &bytes); n == 1 {
			return bytes << 10
		}
	}
	return 0
}

// mostResident measures until ctx ends, and then sends the largest value.
func (g *gateway) mostResident(ctx context.Context) <-chan int {
	result := make(chan int, 1)
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		most := 0
		for {
			select {
			case <-ctx.Done():
				result <- most
				return
			case <-tick.C:
				most = max(most, g.resident())
			}
		}
	}()
	return result
}

// recover waits until the process has no more than so many bytes, for patience
// at most, and returns how many it has then.
func (g *gateway) recover(bytes int, patience time.Duration) (resident int, took time.Duration) {
	began := time.Now()
	for {
		resident, took = g.resident(), time.Since(began)
		if resident <= bytes || took > patience || g.over() {
			return resident, took
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// tail is the end of the log.
func (g *gateway) tail() string {
	log, _ := os.ReadFile(g.log.Name())
	return string(log[bytes.LastIndexByte(log[:max(0, len(log)-3000)], '\n')+1:])
}

func (g *gateway) stop() {
	_ = g.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-g.done:
	case <-time.After(15 * time.Second):
		_ = g.cmd.Process.Kill()
		<-g.done
	}
	_ = g.log.Close()
}
