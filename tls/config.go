package tls

import (
	"cmp"
	"slices"

	"github.com/mcpgateway/mcpgateway/proxy/config"
)

// KeyPair is a certificate with its private key, from files or by ACME.
type KeyPair struct {
	Cert       config.File   `yaml:"cert" doc:"PEM certificate, with its intermediates." example:"certs/server.crt"`
	Key        config.Secret `yaml:"key" doc:"PEM private key of the certificate." example:"certs/server.key"`
	Passphrase config.Secret `yaml:"key_passphrase_file" doc:"Passphrase of an encrypted key." example:"secrets/server.pass"`
	ACME       []string      `yaml:"acme" doc:"Instead of files: names to get a certificate for, by the section acme." example:"[mcp.example.com]"`
}

// ClientAuthMode says whether a client must show a certificate.
type ClientAuthMode string

// The modes of client authentication.
const (
	// ClientAuthNone asks for no certificate.
	ClientAuthNone ClientAuthMode = "none"
	// ClientAuthRequest asks for one; a client that sends one must pass.
	ClientAuthRequest ClientAuthMode = "request"
	// ClientAuthRequire refuses a client without one.
	ClientAuthRequire ClientAuthMode = "require"
)

// ClientAuth is mutual TLS towards clients.
type ClientAuth struct {
	Mode         ClientAuthMode `yaml:"mode" default:"none" enum:"none,request,require" doc:"Whether clients are asked for a certificate."`
	CACert       config.File    `yaml:"ca_cert" doc:"PEM file of the CAs that sign client certificates." example:"certs/clients-ca.crt"`
	CRL          config.File    `yaml:"crl" doc:"Revocation lists, PEM or DER; every CA of a client's chain needs one." example:"certs/clients.crl"`
	CRLExpired   CRLExpired     `yaml:"crl_expired" default:"reject" enum:"reject,accept" doc:"What to do with the clients of a CA whose list is past its next update."`
	Forward      bool           `yaml:"forward" doc:"Tell upstreams who the client is, in X-Forwarded-Client-Cert."`
	AllowedNames []string       `yaml:"allowed_names" doc:"DNS, email, IP or URI SANs that are let in; empty: any certificate that verifies." example:"[spiffe://example.org/*]"`
}

// asks reports whether clients are asked for a certificate.
func (a *ClientAuth) asks() bool { return a.Mode != ClientAuthNone && a.Mode != "" }

// ServerConfig is the `tls` block of a listener.
type ServerConfig struct {
	Certificates []KeyPair  `yaml:"certificates" doc:"Chosen by SNI; the first is the default."`
	SPIFFE       *SPIFFE    `yaml:"spiffe" doc:"Certificate, and client_auth.ca_cert, from a SPIFFE Workload API."`
	MinVersion   string     `yaml:"min_version" default:"1.2" enum:"1.2,1.3" doc:"Lowest TLS version."`
	ClientAuth   ClientAuth `yaml:"client_auth" doc:"Mutual TLS towards clients."`
	Policies     []Policy   `yaml:"policies" doc:"Other rules for some names; the first that fits the SNI. The keys above are for every other name, and for none."`
}

// AsksForCertificates reports whether there is a server name whose clients are
// asked for a certificate; where c is nil, there is not even TLS.
func (c *ServerConfig) AsksForCertificates() bool {
	return c != nil && slices.ContainsFunc(c.Resolved(), func(p Policy) bool { return p.ClientAuth.asks() })
}

// Policy is what holds for some server names of a listener. What it leaves out
// is the listener's: a policy that is there for another certificate must not
// open a listener that demands one of its clients.
type Policy struct {
	Hosts        []string    `yaml:"hosts" required:"true" doc:"Server names (SNI); *. stands for one or more labels, as in a route's hosts." example:"[partners.example.com]"`
	Certificates []KeyPair   `yaml:"certificates" doc:"Chosen by SNI; the first is the default. Absent: those of the listener."`
	MinVersion   string      `yaml:"min_version" enum:"1.2,1.3" doc:"Lowest TLS version. Absent: that of the listener."`
	ClientAuth   *ClientAuth `yaml:"client_auth" doc:"Mutual TLS towards clients. Absent: that of the listener."`
}

// Resolved are the policies with all that they take from the listener. The last
// one has no hosts, and is for every other name.
func (c *ServerConfig) Resolved() []Policy {
	rest := Policy{Certificates: c.Certificates, MinVersion: c.MinVersion, ClientAuth: &c.ClientAuth}
	list := make([]Policy, 0, len(c.Policies)+1)
	for _, p := range c.Policies {
		if len(p.Certificates) == 0 {
			p.Certificates = rest.Certificates
		}
		p.MinVersion = cmp.Or(p.MinVersion, rest.MinVersion)
		p.ClientAuth = cmp.Or(p.ClientAuth, rest.ClientAuth)
		list = append(list, p)
	}
	return append(list, rest)
}

// SPIFFE says where an identity and its trust bundle come from.
type SPIFFE struct {
	Socket string `yaml:"socket" required:"true" doc:"The Workload API: an absolute path, unix:///path or tcp://IP:port." example:"/run/spire/agent.sock"`
}

// CRLExpired says what a revocation list past its next update is worth.
type CRLExpired string

// What to do with the clients of a CA whose list has expired.
const (
	// CRLExpiredReject lets none of them in.
	CRLExpiredReject CRLExpired = "reject"
	// CRLExpiredAccept goes on by the old list.
	CRLExpiredAccept CRLExpired = "accept"
)

// ClientConfig is the `tls` block of a cluster.
type ClientConfig struct {
	CACert             config.File   `yaml:"ca_cert" doc:"PEM file of the CAs that sign the servers' certificates; absent: system roots." example:"certs/ca.crt"`
	ClientCert         config.File   `yaml:"client_cert" doc:"PEM client certificate, followed by its intermediates." example:"certs/client.crt"`
	ClientKey          config.Secret `yaml:"client_key" doc:"PEM private key of client_cert." example:"certs/client.key"`
	Passphrase         config.Secret `yaml:"client_key_passphrase_file" doc:"Passphrase of an encrypted client_key." example:"secrets/client.pass"`
	SPIFFE             *SPIFFE       `yaml:"spiffe" doc:"Identity and trust from a SPIFFE Workload API, instead of ca_cert, client_cert and client_key."`
	ServerName         string        `yaml:"server_name" doc:"SNI and the name to verify; default: the URL's host."`
	VerifyNames        []string      `yaml:"verify_names" doc:"Match any of these SANs instead (DNS, IP, spiffe://…)."`
	AllowCommonName    bool          `yaml:"allow_common_name" doc:"Accept a server certificate that has no SAN at all by its Common Name."`
	MinVersion         string        `yaml:"min_version" default:"1.2" enum:"1.2,1.3" doc:"Lowest TLS version."`
	InsecureSkipVerify bool          `yaml:"insecure_skip_verify" doc:"Do not verify the server at all."`
}
