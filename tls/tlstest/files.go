package tlstest

import (
	cryptotls "crypto/tls"
	"os"
	"path/filepath"
	"testing"
)

// WriteFile writes data under dir and returns the path.
func WriteFile(t testing.TB, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatalf("write %s: %v", name, err)
	}
	return path
}

// WritePair writes name.crt and name.key under dir and returns their paths. The
// pair is usually the result of a CA's method: WritePair(t, dir, "server", …).
func WritePair(t testing.TB, dir, name string, certPEM, keyPEM []byte) (certPath, keyPath string) {
	t.Helper()
	return WriteFile(t, dir, name+".crt", certPEM), WriteFile(t, dir, name+".key", keyPEM)
}

// Certificate is a pair as crypto/tls wants it.
func Certificate(t testing.TB, certPEM, keyPEM []byte) cryptotls.Certificate {
	t.Helper()
	cert, err := cryptotls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatalf("key pair: %v", err)
	}
	return cert
}
