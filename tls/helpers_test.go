package tls

import (
	cryptotls "crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"go.uber.org/goleak"

	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/tls/spiffe"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func file(data []byte) config.File     { return config.File{Path: "/test", Data: data} }
func secret(data []byte) config.Secret { return config.Secret{File: file(data)} }

// delivered is what a Workload API has delivered to spiffe://example.org/gateway.
func delivered(data []byte) config.File {
	return config.NewFile(&spiffe.Material{ID: spiffeid.RequireFromString("spiffe://example.org/gateway")}, data)
}

func pair(certPEM, keyPEM []byte) KeyPair {
	return KeyPair{Cert: file(certPEM), Key: secret(keyPEM)}
}

func snapshot(t *testing.T, cfg *ServerConfig, previous *ServerSnapshot) *ServerSnapshot {
	t.Helper()
	s, err := NewServerSnapshot(cfg, previous, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// outcome is what both ends saw of one connection, which carried a byte each
// way: in TLS 1.3 a client learns only from reading that it was refused.
type outcome struct {
	client, server       cryptotls.ConnectionState
	clientErr, serverErr error
}

// connect makes one connection of real TLS over 127.0.0.1.
func connect(t *testing.T, server, client *cryptotls.Config) outcome {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var out outcome
	done := make(chan struct{})
	go func() {
		defer close(done)
		raw, err := ln.Accept()
		if err != nil {
			out.serverErr = err
			return
		}
		conn := cryptotls.Server(raw, server)
		defer conn.Close()
		out.server, out.serverErr = exchange(conn)
	}()
	raw, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn := cryptotls.Client(raw, client)
	out.client, out.clientErr = exchange(conn)
	conn.Close()
	<-done
	return out
}

func exchange(conn *cryptotls.Conn) (cryptotls.ConnectionState, error) {
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if err := conn.Handshake(); err != nil {
		return cryptotls.ConnectionState{}, err
	}
	if _, err := conn.Write([]byte("x")); err != nil {
		return cryptotls.ConnectionState{}, err
	}
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		return cryptotls.ConnectionState{}, err
	}
	return conn.ConnectionState(), nil
}

func mustConnect(t *testing.T, server, client *cryptotls.Config) outcome {
	t.Helper()
	out := connect(t, server, client)
	if err := errors.Join(out.clientErr, out.serverErr); err != nil {
		t.Fatal(err)
	}
	return out
}

// serve is a server of crypto/tls alone, for tests of the client.
func serve(t *testing.T, p KeyPair) *cryptotls.Config {
	t.Helper()
	return &cryptotls.Config{Certificates: []cryptotls.Certificate{tlstest.Certificate(t, p.Cert.Data, p.Key.Data)}}
}

// parseTrust is TrustOf content that no other section names.
func parseTrust(caPEM []byte) (*Trust, error) { return TrustOf(file(caPEM)) }

// parseIdentity is identityOf contents that no other section names.
func parseIdentity(certPEM, keyPEM, passphrase []byte) (*Identity, error) {
	return identityOf(file(certPEM), secret(keyPEM), secret(passphrase))
}
