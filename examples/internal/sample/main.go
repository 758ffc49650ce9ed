package sample

import (
	"context"
	cryptotls "crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Main is the main function of a sample server: it parses the command line,
// serves handler under strict mutual TLS, and returns the exit code once
// SIGTERM or SIGINT came.
func Main(name, address string, handler http.Handler) int {
	ctx, stop := Signals()
	defer stop()
	flags := flag.NewFlagSet(name, flag.ExitOnError)
	opts := options{}
	flags.StringVar(&opts.address, "address", address, "host:port to serve")
	flags.StringVar(&opts.cert, "cert", "server.crt", "certificate, PEM")
	flags.StringVar(&opts.key, "key", "server.key", "its key, PEM")
	flags.StringVar(&opts.ca, "ca", "ca.crt", "CA that every client certificate must come from, PEM")
	flags.StringVar(&opts.record, "record", "", "append a JSON line for each connection to this file")
	_ = flags.Parse(os.Args[1:]) // ExitOnError: does not return an error

	if err := serve(ctx, opts, handler, func(addr net.Addr) {
		fmt.Fprintf(os.Stderr, "%s: serving on https://%s\n", name, addr)
	}); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

// Signals returns a context that ends with SIGTERM or SIGINT. SIGHUP is ignored: a
// user may send it to all programs of a folder, and means the gateway.
func Signals() (context.Context, context.CancelFunc) {
	signal.Ignore(syscall.SIGHUP)
	return signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
}

type options struct {
	address, cert, key, ca, record string
}

// serve returns nil once ctx has ended and the connections with it.
func serve(ctx context.Context, opts options, handler http.Handler, serving func(net.Addr)) error {
	config, err := strictTLS(opts)
	if err != nil {
		return err
	}
	if opts.record != "" {
		file, err := os.OpenFile(opts.record, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return fmt.Errorf("opening the record: %w", err)
		}
		defer file.Close()
		(&recorder{to: file}).watch(config)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", opts.address)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           handler,
		TLSConfig:         config,
		ReadHeaderTimeout: 10 * time.Second,
		// Streams end with their request's context, which ends with ctx.
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	serving(listener.Addr())
	return Run(ctx, server, func() error { return server.ServeTLS(listener, "", "") })
}

// Run returns nil once ctx has ended and the connections with it. serve is one of
// the methods by which the server serves.
func Run(ctx context.Context, server *http.Server, serve func() error) error {
	failed := make(chan error, 1)
	go func() { failed <- serve() }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		_ = server.Close()
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// strictTLS refuses every handshake without a client certificate of the CA.
func strictTLS(opts options) (*cryptotls.Config, error) {
	identity, err := cryptotls.LoadX509KeyPair(opts.cert, opts.key)
	if err != nil {
		return nil, fmt.Errorf("loading the certificate: %w", err)
	}
	pem, err := os.ReadFile(opts.ca)
	if err != nil {
		return nil, fmt.Errorf("loading the CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: no certificate in it", opts.ca)
	}
	return &cryptotls.Config{
		MinVersion:   cryptotls.VersionTLS12,
		NextProtos:   []string{"h2", "http/1.1"},
		Certificates: []cryptotls.Certificate{identity},
		ClientAuth:   cryptotls.RequireAndVerifyClientCert,
		ClientCAs:    pool,
	}, nil
}
