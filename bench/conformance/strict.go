package main

import (
	"context"
	cryptotls "crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
)

// makeCertificates writes a CA, and a server and a client certificate that it
// signs, into dir.
func makeCertificates(ctx context.Context, dir string) error {
	return openssl(ctx, dir, `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=conformance -keyout ca.key -out ca.crt
issue server server.key server.crt
issue client client.key client.crt`)
}

// makeIdentity puts another client certificate in the place of the one there
// is.
func makeIdentity(ctx context.Context, dir string) error {
	return openssl(ctx, dir, `issue client next.key next.crt
mv next.key client.key
mv next.crt client.crt`)
}

// openssl runs a script in which issue NAME KEY CERT makes a certificate.
func openssl(ctx context.Context, dir, script string) error {
	const issue = `set -e
issue() {
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$1 -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout $2 -out $1.csr
	openssl x509 -req -in $1.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -copy_extensions copy -out $3
}
`
	cmd := exec.CommandContext(ctx, "bash", "-c", issue+script)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make certificates: %w: %s", err, out)
	}
	return nil
}

// strict serves what target serves, to clients that show a certificate only.
// It returns the URL, and what ends it.
func strict(ctx context.Context, dir, target string) (at string, stop func(), err error) {
	pair, err := cryptotls.LoadX509KeyPair(filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key"))
	if err != nil {
		return "", nil, err
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		return "", nil, err
	}
	trust := x509.NewCertPool()
	trust.AppendCertsFromPEM(ca)
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	u, err := url.Parse(target)
	if err != nil {
		return "", nil, err
	}
	s := &http.Server{Handler: forward(u), TLSConfig: &cryptotls.Config{
		Certificates: []cryptotls.Certificate{pair},
		ClientAuth:   cryptotls.RequireAndVerifyClientCert,
		ClientCAs:    trust,
		MinVersion:   cryptotls.VersionTLS12,
	}}
	go func() { _ = s.ServeTLS(l, "", "") }() // until Close
	u.Scheme, u.Host = "https", l.Addr().String()
	return u.String(), func() { _ = s.Close() }, nil
}

// forward passes requests on to the host of target, flushing each write.
func forward(target *url.URL) *httputil.ReverseProxy {
	u := *target
	return &httputil.ReverseProxy{
		FlushInterval: -1,
		// Where the server is gone the client sees a connection that ends, not a 502.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = u.Scheme, u.Host, u.Host
		},
	}
}
