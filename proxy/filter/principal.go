package filter

import (
	"context"
	"crypto/x509"
	"strconv"
	"time"

	"github.com/mcpgateway/mcpgateway/listeners"
	"github.com/mcpgateway/mcpgateway/tls"
)

// Kind says by what a principal was recognised.
type Kind string

// The kinds: neither a token nor a certificate, a bearer token, a client certificate.
const (
	Anonymous   Kind = "anonymous"
	JWT         Kind = "jwt"
	Certificate Kind = "certificate"
)

// Principal is who a request comes from. Compare principals by Key: two tokens
// of one principal differ in ExpiresAt. The zero value is no principal;
// anonymous requests have Kind Anonymous.
type Principal struct {
	Kind Kind
	// Issuer is the token's iss, or the distinguished name of the
	// certificate's issuer.
	Issuer string
	// Subject is the token's sub, or the certificate's first SAN, else its
	// distinguished name.
	Subject string
	// Claim is the claim that Subject is where that is not sub, such as
	// client_id. A program whose client_id reads like a user's sub is another
	// principal (RFC 9068 section 5).
	Claim string
	// ExpiresAt is when the credential stops being accepted, leeway included;
	// zero when it does not say. Streams must not outlive it where the
	// specification says so.
	ExpiresAt time.Time
}

// Key identifies the principal. Different principals have different keys,
// whatever characters an issuer puts into its names.
func (p Principal) Key() string {
	if p.Kind == Anonymous || p.Kind == "" {
		return string(Anonymous)
	}
	kind := string(p.Kind)
	if p.Claim != "" {
		kind += "." + strconv.Itoa(len(p.Claim)) + "." + p.Claim
	}
	return kind + ":" + strconv.Itoa(len(p.Issuer)) + ":" + p.Issuer + p.Subject
}

// String is for logs.
func (p Principal) String() string {
	if p.Kind == Anonymous || p.Kind == "" {
		return string(Anonymous)
	}
	kind := string(p.Kind)
	if p.Claim != "" {
		kind += "(" + p.Claim + ")"
	}
	return kind + ":" + p.Issuer + "/" + p.Subject
}

// ExpiryTimer fires at expiry, if that is not zero. stop releases it.
func ExpiryTimer(expiry time.Time) (expired <-chan time.Time, stop func()) {
	if expiry.IsZero() {
		return nil, func() {}
	}
	timer := time.NewTimer(time.Until(expiry))
	return timer.C, func() { timer.Stop() }
}

type principalKey struct{}

// WithPrincipal returns a context in which PrincipalFrom finds p.
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, &p)
}

// PrincipalFrom returns who the request comes from: what Auth found, else the
// client certificate that the listener verified, else anonymous.
func PrincipalFrom(ctx context.Context) Principal {
	if p, ok := ctx.Value(principalKey{}).(*Principal); ok {
		return *p
	}
	if cert := peerCertificate(ctx); cert != nil {
		return certificatePrincipal(cert)
	}
	return Principal{Kind: Anonymous}
}

func certificatePrincipal(cert *x509.Certificate) Principal {
	return Principal{Kind: Certificate, Issuer: cert.Issuer.String(), Subject: tls.PeerName(cert), ExpiresAt: cert.NotAfter}
}

// peerCertificate returns the client certificate of the request's connection,
// if it showed one and the listener verified it.
func peerCertificate(ctx context.Context) *x509.Certificate {
	if conn := listeners.FromContext(ctx); conn != nil {
		return tls.VerifiedPeer(conn.TLS())
	}
	return nil
}
