// Command floor is the least that a proxy written in Go does: it passes each
// request of a connection on over an upstream connection of its own, with mutual
// TLS on both sides, and looks only for the ends of messages. It has no routes,
// health checks, retries or limits, and trusts both sides. A gateway in Go cannot
// cost less.
//
// It serves at the address of -at until it is killed.
package main

import (
	cryptotls "crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"net"
	"os"
)

func main() {
	var files files
	flag.StringVar(&files.cert, "cert", "", "certificate for clients, PEM")
	flag.StringVar(&files.key, "key", "", "its key, PEM")
	flag.StringVar(&files.ca, "ca", "", "CA of both sides, PEM")
	flag.StringVar(&files.clientCert, "client-cert", "", "certificate for the upstream, PEM")
	flag.StringVar(&files.clientKey, "client-key", "", "its key, PEM")
	at := flag.String("at", "127.0.0.1:0", "where to listen, host:port")
	upstream := flag.String("upstream", "", "where the upstream listens, host:port")
	flag.Parse()
	err := serve(files, *at, *upstream)
	fmt.Fprintln(os.Stderr, "floor:", err)
	os.Exit(1)
}

type files struct{ cert, key, ca, clientCert, clientKey string }

// serve returns only with an error.
func serve(f files, at, upstream string) error {
	server, err := cryptotls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return err
	}
	client, err := cryptotls.LoadX509KeyPair(f.clientCert, f.clientKey)
	if err != nil {
		return err
	}
	pem, err := os.ReadFile(f.ca)
	if err != nil {
		return err
	}
	trust := x509.NewCertPool()
	trust.AppendCertsFromPEM(pem)
	downstreamTLS := &cryptotls.Config{Certificates: []cryptotls.Certificate{server}, ClientAuth: cryptotls.RequireAndVerifyClientCert, ClientCAs: trust}
	upstreamTLS := &cryptotls.Config{Certificates: []cryptotls.Certificate{client}, RootCAs: trust, ServerName: "localhost"}

	listener, err := net.Listen("tcp", at)
	if err != nil {
		return err
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go proxy(cryptotls.Server(conn, downstreamTLS), upstream, upstreamTLS)
	}
}

// proxy serves a connection until either side ends it.
func proxy(downstream *cryptotls.Conn, address string, config *cryptotls.Config) {
	defer downstream.Close()
	if downstream.Handshake() != nil {
		return
	}
	upstream, err := cryptotls.Dial("tcp", address, config)
	if err != nil {
		return
	}
	defer upstream.Close()
	requests, responses := newReader(downstream), newReader(upstream)
	for {
		if requests.pass(upstream) != nil || responses.pass(downstream) != nil {
			return
		}
	}
}
