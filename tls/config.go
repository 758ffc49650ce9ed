package tls

import "github.com/mcpgateway/mcpgateway/proxy/config"

// KeyPair is a certificate with its private key.
type KeyPair struct {
	_    struct{}      `later:"key_passphrase_file,acme"`
	Cert config.File   `yaml:"cert" doc:"PEM certificate, followed by its intermediates" example:"certs/server.crt"`
	Key  config.Secret `yaml:"key" doc:"PEM private key of the certificate" example:"certs/server.key"`
}

// ClientAuthMode says whether a client must show a certificate.
type ClientAuthMode string

// The modes of client authentication.
const (
	// ClientAuthNone asks for no certificate.
	ClientAuthNone ClientAuthMode = "none"
	// ClientAuthRequest asks for one; whoever sends one must pass.
	ClientAuthRequest ClientAuthMode = "request"
	// ClientAuthRequire refuses a client without one.
	ClientAuthRequire ClientAuthMode = "require"
)

// ClientAuth is mutual TLS towards clients.
type ClientAuth struct {
	_            struct{}       `later:"crl,crl_expired"`
	Mode         ClientAuthMode `yaml:"mode" default:"none" enum:"none,request,require" doc:"whether clients are asked for a certificate"`
	CACert       config.File    `yaml:"ca_cert" doc:"PEM file of the CAs that sign client certificates" example:"certs/clients-ca.crt"`
	AllowedNames []string       `yaml:"allowed_names" doc:"DNS, email, IP or URI SANs that are let in; empty: any certificate that verifies" example:"[spiffe://example.org/*]"`
}

// ServerConfig is the `tls` block of a listener.
type ServerConfig struct {
	_            struct{}   `later:"policies"`
	Certificates []KeyPair  `yaml:"certificates" doc:"chosen by SNI; the first is the default"`
	MinVersion   string     `yaml:"min_version" default:"1.2" enum:"1.2,1.3" doc:"lowest TLS version"`
	ClientAuth   ClientAuth `yaml:"client_auth" doc:"mutual TLS towards clients"`
}

// ClientConfig is the `tls` block of a cluster.
type ClientConfig struct {
	_                  struct{}      `later:"client_key_passphrase_file,spiffe"`
	CACert             config.File   `yaml:"ca_cert" doc:"PEM file of the CAs that sign the servers' certificates; absent: system roots" example:"certs/ca.crt"`
	ClientCert         config.File   `yaml:"client_cert" doc:"PEM client certificate, followed by its intermediates" example:"certs/client.crt"`
	ClientKey          config.Secret `yaml:"client_key" doc:"PEM private key of client_cert" example:"certs/client.key"`
	ServerName         string        `yaml:"server_name" doc:"SNI and the name to verify; default: the URL's host"`
	VerifyNames        []string      `yaml:"verify_names" doc:"match any of these SANs instead (DNS, IP, spiffe://…)"`
	AllowCommonName    bool          `yaml:"allow_common_name" doc:"accept a server certificate that has no SAN at all by its Common Name"`
	MinVersion         string        `yaml:"min_version" default:"1.2" enum:"1.2,1.3" doc:"lowest TLS version"`
	InsecureSkipVerify bool          `yaml:"insecure_skip_verify" doc:"do not verify the server at all"`
}
