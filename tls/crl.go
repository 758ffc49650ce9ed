package tls

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/cryptobyte"
	tags "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mcpgateway/mcpgateway/proxy/config"
)

// crls are the revocation lists of a file. They are immutable.
type crls struct {
	lists    []*crl
	notAfter time.Time // the first next update; zero when no list names one
}

// crl is one list.
type crl struct {
	list    *x509.RevocationList
	scope   scope
	revoked map[string]struct{} // serial numbers, as big-endian bytes
	// signers are the CAs, by their SHA-256, whose signature was found good:
	// to verify it at each handshake would cost as much as the handshake.
	signers sync.Map
}

// crlsOf are any number of lists, all in DER or all in PEM. Lists that cover
// only a part of what their CA issued are refused: what they do not name would
// pass. See isTorn about its errors, and config.ParseOnce about who shares the
// result.
func crlsOf(f config.File) (*crls, error) {
	return config.ParseOnce(func() (*crls, error) { return parseCRLs(f.Data) }, f)
}

func parseCRLs(data []byte) (*crls, error) {
	var lists crls
	if isDER(data) {
		if err := lists.addAll(data); err != nil {
			return nil, err
		}
		return &lists, nil
	}
	if bytes.ContainsFunc(data, binary) {
		// The reader of PEM would pass over it.
		return nil, torn("the file holds something between its PEM blocks, or after them, that is no text; revocation lists are all in PEM or all in DER")
	}
	isList := func(kind string) bool { return kind == "X509 CRL" }
	err := eachBlock(data, "revocation list", isList, func(block *pem.Block) error { return lists.addAll(block.Bytes) })
	if err != nil {
		return nil, err
	}
	return &lists, nil
}

// isDER tells DER from PEM. Text before the first block of PEM may begin with
// the byte that DER does.
func isDER(data []byte) bool {
	if len(data) == 0 || data[0] != 0x30 {
		return false
	}
	if !bytes.Contains(data, []byte("-----BEGIN ")) {
		return true
	}
	var first cryptobyte.String
	rest := cryptobyte.String(data)
	if !rest.ReadASN1Element(&first, tags.SEQUENCE) {
		return false
	}
	_, err := x509.ParseRevocationList(first)
	return err == nil
}

// binary finds what is in every DER list, and in no text.
func binary(r rune) bool { return r < ' ' && r != '\t' && r != '\n' && r != '\r' && r != '\f' }

// addAll adds lists that stand one behind the other. x509.ParseRevocationList
// would take the first, and be silent about the rest.
func (c *crls) addAll(der []byte) error {
	for rest := cryptobyte.String(der); !rest.Empty(); {
		var list cryptobyte.String
		if !rest.ReadASN1Element(&list, tags.SEQUENCE) {
			return torn("revocation list %d of the file is cut off, or no list", len(c.lists)+1)
		}
		if err := c.add(list); err != nil {
			return err
		}
	}
	return nil
}

func (c *crls) add(der []byte) error {
	at := len(c.lists) + 1
	list, err := x509.ParseRevocationList(der)
	switch {
	case err != nil && isVersion1(der):
		return fmt.Errorf("revocation list %d of the file is of version 1, and version 2 is needed: `openssl ca -gencrl` makes it with -crlexts, or with crl_extensions or crlnumber in its configuration", at)
	case err != nil:
		return torn("revocation list %d of the file: %w", at, err)
	}
	scope, err := newScope(list)
	if err != nil {
		return fmt.Errorf("revocation list %d of the file, of %q: %w; a complete list is needed", at, list.Issuer, err)
	}
	l := &crl{list: list, scope: scope, revoked: make(map[string]struct{}, len(list.RevokedCertificateEntries))}
	for _, entry := range list.RevokedCertificateEntries {
		l.revoked[string(entry.SerialNumber.Bytes())] = struct{}{}
	}
	c.lists = append(c.lists, l)
	if next := list.NextUpdate; !next.IsZero() && (c.notAfter.IsZero() || next.Before(c.notAfter)) {
		c.notAfter = next
	}
	return nil
}

// isVersion1 recognises a list that does not begin with its version (RFC 5280
// section 5.1).
func isVersion1(der cryptobyte.String) bool {
	var list, body cryptobyte.String
	return der.ReadASN1(&list, tags.SEQUENCE) && list.ReadASN1(&body, tags.SEQUENCE) && body.PeekASN1Tag(tags.SEQUENCE)
}

// NotAfter is when the first of the lists is past its next update; zero when
// none has one.
func (c *crls) NotAfter() time.Time { return c.notAfter }

// check reports why no certificate of the chain, from a leaf to a root, may be
// relied on as of now. Every CA of the chain needs a list that it signed, as
// with nginx and Envoy: else an attacker who can hide a list can undo a revocation.
func (c *crls) check(chain []*x509.Certificate, expired CRLExpired, now time.Time) error {
	for i, cert := range chain[:len(chain)-1] {
		if err := c.checkOne(cert, chain[i+1], expired, now); err != nil {
			return err
		}
	}
	return nil
}

func (c *crls) checkOne(cert, issuer *x509.Certificate, expired CRLExpired, now time.Time) error {
	var newest *crl
	var reason error
	for _, l := range c.lists {
		if !bytes.Equal(l.list.RawIssuer, issuer.RawSubject) {
			continue
		}
		if err := l.signedBy(issuer); err != nil {
			reason = fmt.Errorf("the revocation list of %q is not its own: %w", issuer.Subject, err)
			continue
		}
		// In any of them: a later list may drop only what has expired.
		if _, revoked := l.revoked[string(cert.SerialNumber.Bytes())]; revoked {
			return fmt.Errorf("the certificate with serial number %X was revoked by %q", cert.SerialNumber, issuer.Subject)
		}
		switch {
		case !l.scope.covers(cert):
			reason = fmt.Errorf("the revocation list of %q is for certificates that name its distribution point, and %q does not; a complete list is needed", issuer.Subject, cert.Subject)
		case l.early(now):
			reason = fmt.Errorf("the revocation list of %q is not valid before %s", issuer.Subject, date(l.list.ThisUpdate))
		case newest == nil || l.list.ThisUpdate.After(newest.list.ThisUpdate):
			newest = l
		}
	}
	switch {
	case newest == nil && reason != nil:
		return reason
	case newest == nil:
		return fmt.Errorf("there is no revocation list of %q, which issued %q; add it to the file of crl", issuer.Subject, cert.Subject)
	case expired != CRLExpiredAccept && !newest.list.NextUpdate.IsZero() && now.After(newest.list.NextUpdate):
		return fmt.Errorf("the revocation list of %q expired on %s; renew it, or set crl_expired: accept", issuer.Subject, date(newest.list.NextUpdate))
	}
	return nil
}

// crlSkew is how much the clock of a CA may be ahead of ours.
const crlSkew = 5 * time.Minute

// early reports whether the list is not to be relied on yet. What it revokes
// is revoked all the same.
func (l *crl) early(now time.Time) bool { return l.list.ThisUpdate.After(now.Add(crlSkew)) }

func (l *crl) signedBy(issuer *x509.Certificate) error {
	sum := sha256.Sum256(issuer.Raw)
	if _, ok := l.signers.Load(sum); ok {
		return nil
	}
	if err := l.list.CheckSignatureFrom(issuer); err != nil {
		return err
	}
	l.signers.Store(sum, struct{}{})
	return nil
}

func (c *crls) equal(o *crls) bool {
	if c == nil || o == nil {
		return c == o
	}
	return slices.EqualFunc(c.lists, o.lists, func(a, b *crl) bool { return bytes.Equal(a.list.Raw, b.list.Raw) })
}

// missing names the CAs of the trust that have no list here.
func (c *crls) missing(t *Trust) []string {
	var names []string
	for _, ca := range t.cas {
		if !slices.ContainsFunc(c.lists, func(l *crl) bool {
			return bytes.Equal(l.list.RawIssuer, ca.RawSubject) && l.signedBy(ca) == nil
		}) {
			names = append(names, fmt.Sprintf("%q", ca.Subject))
		}
	}
	return names
}
