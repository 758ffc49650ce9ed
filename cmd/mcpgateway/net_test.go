package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// makeCertificates makes the users' own certificates by the users' own
// commands. They are X.509 v1 without SAN.
const makeCertificates = `
openssl req -x509 -newkey rsa:4096 -keyout ca.key -out ca.crt -days 365 -nodes -subj "/CN=Test CA"
openssl genrsa -out server.key 2048
openssl req -new -key server.key -out server.csr -subj "/CN=localhost"
openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 365
openssl genrsa -out client.key 2048
openssl req -new -key client.key -out client.csr -subj "/CN=Client"
openssl x509 -req -in client.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out client.crt -days 365
`

// usersCertificates are made once: the CA's key takes seconds.
var usersCertificates = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(filepath.Dir(binary), "certificates")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	cmd := exec.Command("bash", "-ec", makeCertificates)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("making certificates: %w\n%s", err, out)
	}
	return dir, nil
})

// certificates puts the users' own certificates into dir.
func certificates(t testing.TB, dir string) {
	t.Helper()
	from, err := usersCertificates()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// newServerPair makes server-new.crt and server-new.key.
const newServerPair = `
openssl genrsa -out server-new.key 2048
openssl req -new -key server-new.key -out server-new.csr -subj "/CN=localhost"
openssl x509 -req -in server-new.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server-new.crt -days 365
`

// secret signs tokens; 32 bytes are the least that is accepted.
const secret = "0123456789abcdef0123456789abcdef"

// sh runs a script from a file whose name says nothing, in dir: the line that
// signals the gateway looks for its name in all command lines. pgrep sees the
// process group $GATEWAY only, so that the line may be the users' own while
// other tests run.
func sh(t testing.TB, dir, script string, env ...string) string {
	t.Helper()
	bin := filepath.Join(dir, "bin")
	if err := os.MkdirAll(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	pgrep, err := exec.LookPath("pgrep")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "pgrep"), []byte("#!/bin/sh\nexec "+pgrep+" -g \"${GATEWAY:?}\" \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "script.sh", []byte("set -e\n"+script))
	cmd := exec.Command("bash", "script.sh")
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH")), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the script failed: %v\n%s", err, out)
	}
	return string(out)
}

func token(t testing.TB) string { t.Helper(); return signed(t, secret) }

// signed is a token of that secret.
func signed(t testing.TB, secret string) string {
	t.Helper()
	s, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"iss": "mcpgateway", "aud": "mcpgateway-api", "sub": "alice", "exp": time.Now().Add(time.Hour).Unix(),
	}).SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func read(t testing.TB, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// netConfig is the gateway of net.md: JWT on /mcp/http, and one strict cluster.
func netConfig(endpoint, tls string) string {
	return fmt.Sprintf(`
listeners:
  - name: public
    address: localhost:0
    tls: {certificates: [{cert: server.crt, key: server.key}]}
routes:
  - match: {path: /health}
    health: live
  - match: {path: /mcp/http}
    auth: {jwt: {issuer: mcpgateway, audiences: [mcpgateway-api], hmac_secret_files: [jwt.secret]}}
    mcp: {clusters: [mtls-test-server]}
clusters:
  - name: mtls-test-server
    endpoints: [%s]
    tls: {%s}
    health_check: {interval: 200ms, healthy_threshold: 1}
`, endpoint, tls)
}

// NET-01: a strict-mTLS MCP server behind the gateway, called by curl.
func TestToolsOfAStrictServerComeBackByTheUsersOwnCommands(t *testing.T) {
	for name, path := range map[string]string{"HTTP+SSE": "/sse", "Streamable HTTP": "/mcp"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := shortDir(t)
			certificates(t, dir)
			writeFile(t, dir, "jwt.secret", []byte(secret+"\n"))
			h := streamable(tools("one"))
			if path == "/sse" {
				h = sse(tools("one"))
			}
			server := strict(t, "localhost:0", read(t, dir, "ca.crt"), read(t, dir, "server.crt"), read(t, dir, "server.key"), h)
			const identity = "ca_cert: ca.crt, client_cert: client.crt, client_key: client.key, allow_common_name: true"
			g := start(t, dir, netConfig("https://localhost:"+server.port()+path, identity))

			g.eventually("the cluster to be healthy", func() error { return clusterHealth(g, "mtls-test-server", "healthy") })
			out := sh(t, dir, `curl -sS --cacert ca.crt -X POST "https://localhost:$PORT/mcp/http" \
  -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \
  -d '{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}'`, "PORT="+g.port("public"), "TOKEN="+token(t))
			var answer struct {
				ID     int
				Result struct{ Tools []struct{ Name string } }
			}
			if err := json.Unmarshal([]byte(out), &answer); err != nil || answer.ID != 1 || len(answer.Result.Tools) != 2 {
				t.Fatalf("the tools did not come back: %v\n%s", err, out)
			}
			code := sh(t, dir, `curl -sS -o /dev/null -w "%{http_code}" --cacert ca.crt -X POST "https://localhost:$PORT/mcp/http" -H "Content-Type: application/json" -d '{}'`, "PORT="+g.port("public"))
			if code != "401" {
				t.Errorf("without a token: %s, want 401", code)
			}
			for _, peer := range server.seen() {
				if peer != "Client" {
					t.Errorf("a connection came as %q", peer)
				}
			}
		})
	}
}

func TestAnEndpointByAddressNeedsServerName(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	certificates(t, dir)
	writeFile(t, dir, "jwt.secret", []byte(secret))
	server := strict(t, "127.0.0.1:0", read(t, dir, "ca.crt"), read(t, dir, "server.crt"), read(t, dir, "server.key"), streamable(tools("one")))
	const identity = "ca_cert: ca.crt, client_cert: client.crt, client_key: client.key, allow_common_name: true"
	endpoint := "https://127.0.0.1:" + server.port() + "/mcp"
	g := start(t, dir, netConfig(endpoint, identity))
	g.eventually("the error to name server_name", func() error {
		for _, c := range g.status().Clusters {
			for _, e := range c.Endpoints {
				if e.Health == "unhealthy" && strings.Contains(e.Error, "server_name") {
					return nil
				}
			}
		}
		return fmt.Errorf("%+v", g.status().Clusters)
	})
	g.mustApply(netConfig(endpoint, identity+", server_name: localhost"))
	g.eventually("server_name to cure it", func() error { return clusterHealth(g, "mtls-test-server", "healthy") })

	g.mustApply(netConfig(endpoint, "ca_cert: ca.crt, client_cert: client.crt, client_key: client.key, server_name: localhost"))
	g.eventually("the error to name allow_common_name", func() error {
		for _, c := range g.status().Clusters {
			if e := c.Endpoints[0]; e.Health == "unhealthy" && strings.Contains(e.Error, "allow_common_name") {
				return nil
			}
		}
		return fmt.Errorf("%+v", g.status().Clusters)
	})
}

// clusterHealth reports whether every endpoint of the cluster has that health.
func clusterHealth(g *gateway, name, health string) error {
	for _, c := range g.status().Clusters {
		if c.Name != name {
			continue
		}
		healthy := 0
		for _, e := range c.Endpoints {
			if e.Health == health {
				healthy++
			}
		}
		// A name may resolve to addresses on which no server listens.
		if healthy > 0 {
			return nil
		}
		return fmt.Errorf("%s is not %s: %+v", name, health, c.Endpoints)
	}
	return fmt.Errorf("no cluster %s", name)
}
