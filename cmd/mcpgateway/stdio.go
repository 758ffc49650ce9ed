package main

import (
	"bytes"
	cryptotls "crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/relay"
	"github.com/mcpgateway/mcpgateway/tls"
)

// tokenVariable holds the token where no file does. A flag would show it to
// everybody who lists processes.
const tokenVariable = "MCPGATEWAY_TOKEN"

// stdioFlags are those of the command stdio.
type stdioFlags struct {
	url, tokenFile, caCert, clientCert, clientKey string
	patience                                      time.Duration
}

func stdioCommand() *cobra.Command {
	var f stdioFlags
	c := &cobra.Command{
		Use: "stdio --url URL",
		// What users call such a program elsewhere.
		SuggestFor: []string{"relay", "bridge"},
		Short:      "Be a stdio MCP server that speaks to a gateway: for desktop clients",
		Long: "Be a stdio MCP server that speaks to a gateway, for clients that start their servers\n" +
			"as child processes. Messages pass as they are; a gateway that restarts, and a session\n" +
			"that is lost with it, go unnoticed. Ends with its input, or on SIGTERM.\n\n" +
			"A bearer token comes from --token-file, which is read again when the gateway refuses\n" +
			"the last one, or from $" + tokenVariable + ". Each new connection reads --ca-cert,\n" +
			"--client-cert and --client-key anew.",
		Example: "  mcpgateway stdio --url https://mcp.example.com/mcp --token-file ~/.config/mcp/token",
		Args:    onlyFlags,
	}
	flags := c.Flags()
	flags.StringVar(&f.url, "url", "", "the gateway's MCP endpoint")
	flags.StringVar(&f.tokenFile, "token-file", "", "a `file` that holds a bearer token")
	flags.StringVar(&f.caCert, "ca-cert", "", "a PEM `file` of the CAs that sign the gateway's certificate (default: the system's)")
	flags.StringVar(&f.clientCert, "client-cert", "", "a PEM `file` with the client certificate to show")
	flags.StringVar(&f.clientKey, "client-key", "", "a PEM `file` with its key")
	flags.DurationVar(&f.patience, "patience", 15*time.Second, "how long a request waits for a gateway that is away")
	c.RunE = func(c *cobra.Command, _ []string) error {
		logf := func(line string) { fmt.Fprintln(c.ErrOrStderr(), "mcpgateway stdio:", line) }
		transport, err := f.transport(logf)
		if err != nil {
			return &exitError{exitInvalid, err}
		}
		defer transport.CloseIdleConnections()
		if _, err := f.token(); err != nil {
			return &exitError{exitInvalid, err}
		}
		ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGTERM, syscall.SIGINT)
		defer stop()
		return relay.New(relay.Options{
			URL: f.url, Transport: transport, Token: f.token, Patience: f.patience, Log: logf,
		}).Run(ctx, c.InOrStdin(), c.OutOrStdout())
	}
	return c
}

// transport checks the flags, and returns what reaches the gateway.
func (f *stdioFlags) transport(logf func(string)) (*http.Transport, error) {
	u, err := url.Parse(f.url)
	switch {
	case f.url == "":
		return nil, errors.New("--url is needed: the gateway's MCP endpoint, as in https://mcp.example.com/mcp")
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("--url is not a URL of scheme https")
	case u.User != nil:
		return nil, errors.New("--url holds a user; credentials come from --token-file or a client certificate")
	case u.Query().Has("access_token"):
		return nil, errors.New("--url holds a token; give it by --token-file or $" + tokenVariable)
	case u.Scheme == "http" && f.caCert+f.clientCert+f.clientKey != "":
		return nil, errors.New("--ca-cert, --client-cert and --client-key need an https URL")
	case (f.clientCert == "") != (f.clientKey == ""):
		return nil, errors.New("--client-cert and --client-key belong together; give both")
	}
	if host := u.Hostname(); u.Scheme == "http" && host != "localhost" && host != "127.0.0.1" && host != "::1" {
		logf("over plain http an attacker on the network reads the token; use https")
	}
	cfg, err := f.tlsConfig(u.Hostname(), logf)
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSClientConfig:     cfg,
		TLSHandshakeTimeout: 10 * time.Second,
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 16,
		IdleConnTimeout:     90 * time.Second,
		// A gateway that vanished without a word is noticed by its silence.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
	}, nil
}

// tlsConfig returns what handshakes with host use. Each handshake reads the files
// anew, since they are rotated while the process runs. Where they cannot be used, a
// rotation may be under way: those that were good last stay in use.
func (f *stdioFlags) tlsConfig(host string, logf func(string)) (*cryptotls.Config, error) {
	client, err := f.client()
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex // guards client and said
	said := ""
	current := func() *cryptotls.Config {
		mu.Lock()
		defer mu.Unlock()
		now, err := f.client()
		if err == nil {
			client, said = now, ""
		} else if said != err.Error() {
			said = err.Error()
			logf(said + "; the files that were read before stay in use")
		}
		return client.Config(host, nil)
	}
	cfg := client.Config(host, nil)
	cfg.ClientSessionCache = nil // a resumed session shows the certificate that it began with
	if f.clientCert != "" {
		cfg.GetClientCertificate = func(info *cryptotls.CertificateRequestInfo) (*cryptotls.Certificate, error) {
			return current().GetClientCertificate(info)
		}
	}
	cfg.VerifyConnection = func(cs cryptotls.ConnectionState) error {
		err := current().VerifyConnection(cs)
		if unknown := (x509.UnknownAuthorityError{}); f.caCert == "" && errors.As(err, &unknown) {
			return fmt.Errorf("%w; for a private CA give --ca-cert", unknown)
		}
		return err
	}
	return cfg, nil
}

// client is what the files of the flags hold now.
func (f *stdioFlags) client() (*tls.Client, error) {
	var cfg tls.ClientConfig
	for _, file := range []struct {
		flag, path string
		into       *config.File
	}{
		{"--ca-cert", f.caCert, &cfg.CACert},
		{"--client-cert", f.clientCert, &cfg.ClientCert},
		{"--client-key", f.clientKey, &cfg.ClientKey.File},
	} {
		if file.path == "" {
			continue
		}
		data, err := os.ReadFile(file.path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file.flag, err)
		}
		*file.into = config.File{Path: file.path, Data: config.WithoutBOM(data)}
	}
	client, err := tls.NewClient(&cfg)
	if err != nil {
		return nil, errors.New(strings.NewReplacer("tls: ca_cert", "--ca-cert", "tls: client_cert", "--client-cert").Replace(err.Error()))
	}
	return client, nil
}

// token reads the token anew.
func (f *stdioFlags) token() (string, error) {
	from, text := "$"+tokenVariable, []byte(os.Getenv(tokenVariable))
	if f.tokenFile != "" {
		var err error
		if text, err = os.ReadFile(f.tokenFile); err != nil {
			return "", fmt.Errorf("reading the token: %w", err)
		}
		from = f.tokenFile
	}
	text = bytes.TrimSpace(config.WithoutBOM(text))
	if len(text) == 0 && f.tokenFile != "" {
		return "", fmt.Errorf("%s is empty; it should hold a bearer token", from)
	}
	if bytes.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", fmt.Errorf("%s holds something that is no bearer token", from)
	}
	return string(text), nil
}
