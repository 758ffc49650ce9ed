package peertest

import (
	"testing"

	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/tls"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// Identity is a tls block with a client certificate of ca.
func Identity(t testing.TB, ca *tlstest.CA, cn string) *tls.ClientConfig {
	t.Helper()
	cert, key := ca.Client(t, cn)
	return KeyPair(ca, cert, key)
}

// KeyPair is a tls block with this client certificate, which trusts ca.
func KeyPair(ca *tlstest.CA, cert, key []byte) *tls.ClientConfig {
	c := &tls.ClientConfig{MinVersion: "1.2"}
	c.CACert = config.File{Path: "/ca.crt", Data: ca.PEM()}
	c.ClientCert = config.File{Path: "/client.crt", Data: cert}
	c.ClientKey = config.Secret{File: config.File{Path: "/client.key", Data: key}}
	return c
}
