package tls

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	tags "golang.org/x/crypto/cryptobyte/asn1"
)

// The extensions that say what a list is for (RFC 5280 sections 5.2.4 and
// 5.2.5), and where a certificate is looked up (section 4.2.1.13).
var (
	deltaCRLIndicator        = asn1.ObjectIdentifier{2, 5, 29, 27}
	issuingDistributionPoint = asn1.ObjectIdentifier{2, 5, 29, 28}
	crlDistributionPoints    = asn1.ObjectIdentifier{2, 5, 29, 31}
)

// firstField is the tag of the first optional field of a structure, and of the
// first form that its value may have.
var firstField = tags.Tag(0).ContextSpecific().Constructed()

// scope is the distribution points that a list is for, as GeneralNames in DER;
// empty when it is for whatever its CA issued.
//
// A list with such a name may be a part: a large CA splits its lists in this
// way, and each names what was revoked among the certificates that name its own
// point. So it says nothing about the others (RFC 5280 section 6.3.3 (b)(2)).
// Microsoft's CA writes the name into complete lists, too, and into each of its
// certificates.
type scope [][]byte

// newScope reads the extensions of a list. Any other limit is refused, whether
// or not the CA has marked it as critical, as it must.
func newScope(list *x509.RevocationList) (s scope, err error) {
	for _, e := range list.Extensions {
		switch {
		case e.Id.Equal(deltaCRLIndicator):
			return nil, errors.New("it is a delta to another list")
		case e.Id.Equal(issuingDistributionPoint):
			if s != nil {
				return nil, errors.New("it has two issuing distribution points")
			}
			if s, err = issuingPoint(e.Value); err != nil {
				return nil, err
			}
		case e.Critical:
			return nil, fmt.Errorf("it has the critical extension %s, which may limit it", e.Id)
		}
	}
	return s, nil
}

// issuingPoint takes one that is the full name of a distribution point and
// nothing else.
func issuingPoint(value cryptobyte.String) (scope, error) {
	var fields, point cryptobyte.String
	if !value.ReadASN1(&fields, tags.SEQUENCE) || !value.Empty() {
		return nil, errors.New("its issuing distribution point is malformed")
	}
	if !fields.ReadASN1(&point, firstField) || !fields.Empty() {
		return nil, errors.New("it covers only a part of the certificates, or of the reasons to revoke them, or those of other CAs")
	}
	names, ok := fullNames(point)
	if !ok {
		return nil, errors.New("its issuing distribution point is malformed, or relative to its CA")
	}
	return names, nil
}

// fullNames reads a DistributionPointName in its form of full names.
func fullNames(point cryptobyte.String) (names scope, ok bool) {
	var list cryptobyte.String
	if !point.ReadASN1(&list, firstField) || !point.Empty() {
		return nil, false
	}
	for !list.Empty() {
		var name cryptobyte.String
		if !list.ReadAnyASN1Element(&name, new(tags.Tag)) {
			return nil, false
		}
		names = append(names, name)
	}
	return names, len(names) > 0
}

// covers reports whether a list of this scope would name the certificate if it
// was revoked. The certificate may be looked up at several points; those for
// some of the reasons, and those that other CAs serve, do not count.
func (s scope) covers(cert *x509.Certificate) bool {
	if s == nil {
		return true
	}
	var points cryptobyte.String
	value := cryptobyte.String(extension(cert, crlDistributionPoints))
	if !value.ReadASN1(&points, tags.SEQUENCE) {
		return false
	}
	for !points.Empty() {
		var fields, point cryptobyte.String
		if !points.ReadASN1(&fields, tags.SEQUENCE) {
			return false
		}
		if !fields.ReadASN1(&point, firstField) || !fields.Empty() {
			continue
		}
		if names, ok := fullNames(point); ok && slices.ContainsFunc(names, s.has) {
			return true
		}
	}
	return false
}

func (s scope) has(name []byte) bool {
	return slices.ContainsFunc(s, func(own []byte) bool { return slices.Equal(own, name) })
}
