package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	cryptotls "crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// pki is one CA with a server and a client certificate, used on every hop, so
// that the handshakes cost the same everywhere. The fields are paths of files.
type pki struct {
	CA, ServerCert, ServerKey, ClientCert, ClientKey string

	trust    *x509.CertPool
	identity cryptotls.Certificate
}

func newPKI(dir string) (*pki, error) {
	p := &pki{trust: x509.NewCertPool()}
	for name, path := range map[string]*string{
		"ca.crt": &p.CA, "server.crt": &p.ServerCert, "server.key": &p.ServerKey, "client.crt": &p.ClientCert, "client.key": &p.ClientKey,
	} {
		*path = filepath.Join(dir, name)
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	ca := template509("bench CA")
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return nil, err
	}
	if err := writePEM(p.CA, "CERTIFICATE", der); err != nil {
		return nil, err
	}
	if ca, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	p.trust.AddCert(ca)

	server, client := template509("server"), template509("client")
	server.DNSNames, server.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	if err := issue(server, ca, caKey, p.ServerCert, p.ServerKey); err != nil {
		return nil, err
	}
	if err := issue(client, ca, caKey, p.ClientCert, p.ClientKey); err != nil {
		return nil, err
	}
	p.identity, err = cryptotls.LoadX509KeyPair(p.ClientCert, p.ClientKey)
	return p, err
}

func template509(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

func issue(leaf, ca *x509.Certificate, caKey *ecdsa.PrivateKey, certPath, keyPath string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := writePEM(certPath, "CERTIFICATE", der); err != nil {
		return err
	}
	return writePEM(keyPath, "PRIVATE KEY", keyDER)
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// client returns an HTTP/1.1 client with one connection. Every proxy is measured
// over HTTP/1.1, since nginx speaks no other version to its upstreams.
func (p *pki) client() *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Client{Transport: &http.Transport{
		Protocols:          protocols,
		MaxConnsPerHost:    1,
		DisableCompression: true,
		TLSClientConfig: &cryptotls.Config{
			RootCAs:      p.trust,
			Certificates: []cryptotls.Certificate{p.identity},
			ServerName:   "localhost",
		},
	}}
}

// waitFor polls until url answers 200.
func (p *pki) waitFor(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	client := p.client()
	defer client.CloseIdleConnections()
	for last := error(nil); ; {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
			err = fmt.Errorf("status %s", resp.Status)
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return last
		case <-time.After(50 * time.Millisecond):
		}
	}
}
