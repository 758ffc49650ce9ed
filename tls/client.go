package tls

import (
	"cmp"
	cryptotls "crypto/tls"
	"crypto/x509"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Client is the upstream side of TLS of one cluster: its identity, its trust,
// the names that it accepts, and the sessions that were begun with them. It is
// immutable; after a rotation there is a new one, which resumes nothing.
type Client struct {
	identity    *Identity // nil: no client certificate
	trust       *Trust    // nil: system roots
	serverName  string
	verifyNames []string
	commonName  bool
	minVersion  uint16
	insecure    bool
	// sessions belong to this identity alone: crypto/tls keys them by server
	// name, so a shared cache would resume as another client.
	sessions cryptotls.ClientSessionCache
}

// sessionsKept bounds the cache; a cluster has about as many server names as
// endpoints.
const sessionsKept = 256

// NewClient parses what cfg names; nil means system roots and no client
// certificate.
func NewClient(cfg *ClientConfig) (*Client, error) {
	if cfg == nil {
		cfg = new(ClientConfig)
	}
	c := &Client{
		serverName:  cfg.ServerName,
		verifyNames: slices.Clone(cfg.VerifyNames),
		commonName:  cfg.AllowCommonName,
		minVersion:  minVersion(cfg.MinVersion),
		insecure:    cfg.InsecureSkipVerify,
		sessions:    cryptotls.NewLRUClientSessionCache(sessionsKept),
	}
	var err error
	if !cfg.CACert.IsZero() {
		if c.trust, err = TrustOf(cfg.CACert); err != nil {
			return nil, fmt.Errorf("tls: ca_cert: %w", err)
		}
	}
	if !cfg.ClientCert.IsZero() || !cfg.ClientKey.IsZero() {
		if c.identity, err = identityOf(cfg.ClientCert, cfg.ClientKey, cfg.Passphrase); err != nil {
			return nil, fmt.Errorf("tls: client_cert: %w", err)
		}
	}
	return c, nil
}

// NotAfter is when the client certificate, or an intermediate of it, expires; zero when there is none.
func (c *Client) NotAfter() time.Time {
	if c.identity == nil {
		return time.Time{}
	}
	return c.identity.NotAfter()
}

// Config is for cryptotls.Client towards host, a DNS name or IP address without
// port, and offers nextProtos by ALPN.
func (c *Client) Config(host string, nextProtos []string) *cryptotls.Config {
	name := cmp.Or(c.serverName, strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	cfg := &cryptotls.Config{
		ServerName:         name,
		NextProtos:         nextProtos,
		MinVersion:         c.minVersion,
		ClientSessionCache: c.sessions,
		// The standard verification cannot accept a Common Name, and says
		// nothing that would help; VerifyConnection does all of it instead.
		InsecureSkipVerify: true,
		VerifyConnection: func(cs cryptotls.ConnectionState) error {
			err := c.verify(name, cs)
			if err != nil && cs.DidResume {
				// What was remembered is no longer good; the server may by
				// now have better.
				c.sessions.Put(name, nil)
			}
			return err
		},
	}
	if c.identity != nil {
		// Not Certificates: crypto/tls leaves those behind when the server's
		// list of acceptable CAs does not name their issuer, and the server
		// then complains of no certificate instead of the wrong one.
		cfg.GetClientCertificate = func(*cryptotls.CertificateRequestInfo) (*cryptotls.Certificate, error) {
			return &c.identity.Certificate, nil
		}
	}
	return cfg
}

// verify is the whole verification of an upstream server, also of a resumed
// session, as of now.
func (c *Client) verify(name string, cs cryptotls.ConnectionState) error {
	if c.insecure {
		return nil
	}
	if len(cs.PeerCertificates) == 0 {
		return fmt.Errorf("%s showed no certificate", name)
	}
	var roots *x509.CertPool
	if c.trust != nil {
		roots = c.trust.pool
	}
	chains, err := verifyChain(cs.PeerCertificates, roots, x509.ExtKeyUsageServerAuth)
	if err != nil {
		if c.trust == nil {
			return fmt.Errorf("%w; for a private CA set ca_cert", err)
		}
		return err
	}
	if err := c.verifyName(name, chains); err != nil {
		return &cryptotls.CertificateVerificationError{UnverifiedCertificates: cs.PeerCertificates, Err: err}
	}
	return nil
}

func (c *Client) verifyName(name string, chains [][]*x509.Certificate) error {
	leaf := chains[0][0]
	wanted := c.verifyNames
	if len(wanted) == 0 {
		wanted = []string{name}
	}
	if !hasSAN(leaf) {
		return c.verifyCommonName(wanted, chains)
	}
	for _, want := range wanted {
		if leaf.VerifyHostname(want) == nil || MatchName(want, leaf) {
			return nil
		}
	}
	switch {
	case len(c.verifyNames) > 0:
		return fmt.Errorf("the certificate is valid for %s, not for any of verify_names: %s", sans(leaf), strings.Join(c.verifyNames, ", "))
	case c.serverName != "":
		return fmt.Errorf("the certificate is valid for %s, not for the server_name %s", sans(leaf), name)
	default:
		return fmt.Errorf("the certificate is valid for %s, not for %s: if this is the right server, set server_name to a name of its certificate", sans(leaf), name)
	}
}

// verifyCommonName accepts a certificate that has no name but its Common Name,
// where the operator allows it.
func (c *Client) verifyCommonName(wanted []string, chains [][]*x509.Certificate) error {
	cn := chains[0][0].Subject.CommonName
	if !c.commonName {
		return fmt.Errorf("the certificate has no subject alternative name, only the Common Name %q: set allow_common_name: true to accept it by that name, and server_name: %s where the endpoint's URL has another", cn, cn)
	}
	if !slices.ContainsFunc(wanted, func(want string) bool { return matchCommonName(cn, want) }) {
		return fmt.Errorf("the certificate's Common Name %q, its only name, is not %s: if this is the right server, set server_name: %s", cn, strings.Join(wanted, ", "), cn)
	}
	// Name constraints bind subject alternative names only, so a CA that is
	// confined to its own domain could make any Common Name.
	for _, chain := range chains {
		if !slices.ContainsFunc(chain[1:], constrained) {
			return nil
		}
	}
	return fmt.Errorf("the CA of %q is confined by name constraints, which a Common Name escapes: the certificate needs a subject alternative name", cn)
}

// matchCommonName reads a Common Name as servers' certificates use it: an IP
// address, or a DNS name which may begin with *. for one label.
func matchCommonName(cn, want string) bool {
	if cn == "" || strings.Contains(want, "*") {
		return cn != "" && strings.EqualFold(cn, want)
	}
	if ip, err := netip.ParseAddr(want); err == nil {
		have, err := netip.ParseAddr(cn)
		return err == nil && have == ip
	}
	return matchDNS(cn, want)
}

func constrained(ca *x509.Certificate) bool {
	return len(ca.PermittedDNSDomains)+len(ca.ExcludedDNSDomains)+
		len(ca.PermittedIPRanges)+len(ca.ExcludedIPRanges)+
		len(ca.PermittedEmailAddresses)+len(ca.ExcludedEmailAddresses)+
		len(ca.PermittedURIDomains)+len(ca.ExcludedURIDomains) > 0
}

// sans lists a certificate's names for an error message.
func sans(cert *x509.Certificate) string {
	names := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	for _, uri := range cert.URIs {
		names = append(names, uri.String())
	}
	names = append(names, cert.EmailAddresses...)
	const shown = 5
	switch n := len(names); {
	case n == 0:
		return "no name that could be compared"
	case n > shown:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), n-shown)
	}
	return strings.Join(names, ", ")
}
