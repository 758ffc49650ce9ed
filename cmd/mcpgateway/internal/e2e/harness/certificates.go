package harness

import (
	cryptotls "crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/mcpgateway/mcpgateway/tls/tlstest"
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
var usersCertificates = sync.OnceValues(func() (map[string][]byte, error) {
	dir, err := os.MkdirTemp("", "certificates")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command("bash", "-ec", makeCertificates)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("making certificates: %w\n%s", err, out)
	}
	made, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, file := range made {
		if files[file.Name()], err = os.ReadFile(filepath.Join(dir, file.Name())); err != nil {
			return nil, err
		}
	}
	return files, nil
})

// Certificates puts the users' own certificates into dir.
func Certificates(t testing.TB, dir string) {
	t.Helper()
	files, err := usersCertificates()
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		WriteFile(t, dir, name, data)
	}
}

// Serial is that of the certificate that a new handshake shows.
func Serial(t testing.TB, address string) string {
	t.Helper()
	c, err := cryptotls.Dial("tcp", address, &cryptotls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatalf("handshake: %v", err)
	}
	defer c.Close()
	return fmt.Sprintf("%X", c.ConnectionState().PeerCertificates[0].SerialNumber)
}

// CertificateOf lets the two results of a CA's method be one argument.
func CertificateOf(cert, key []byte) func(testing.TB) cryptotls.Certificate {
	return func(t testing.TB) cryptotls.Certificate { return tlstest.Certificate(t, cert, key) }
}
