package spiffe

import (
	"bytes"
	"fmt"
	"time"

	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

// maxSize bounds the material of one socket. An SVID has a few KiB, and so has
// each CA of a bundle.
const maxSize = 1 << 20

// Material is what one Workload API has delivered: who we are, and whom we
// believe in our own trust domain. It is immutable.
type Material struct {
	// ID is the default SVID's, spiffe://trust.domain/path. The default is the
	// first that the Workload API lists.
	ID string
	// CertPEM is the SVID, followed by its intermediates.
	CertPEM []byte
	// KeyPEM is its private key in PKCS#8.
	KeyPEM []byte
	// BundlePEM holds the CAs of the SVID's own trust domain, and no federated
	// domain's: X.509 name constraints do not confine URI names everywhere, so
	// a foreign CA in the same pool could vouch for a name of ours.
	BundlePEM []byte
}

func newMaterial(x *workloadapi.X509Context, now time.Time) (*Material, error) {
	svid := x.DefaultSVID()
	domain := svid.ID.TrustDomain()
	bundle, ok := x.Bundles.Get(domain)
	if !ok {
		return nil, fmt.Errorf("the bundle that came with %s is of another trust domain; look at the agent", svid.ID)
	}
	if err := checkDates(svid, bundle.X509Authorities(), now); err != nil {
		return nil, err
	}
	m := &Material{ID: svid.ID.String()}
	var err error
	if m.CertPEM, m.KeyPEM, err = svid.Marshal(); err != nil {
		return nil, err
	}
	if m.BundlePEM, err = bundle.Marshal(); err != nil {
		return nil, err
	}
	if size := len(m.CertPEM) + len(m.KeyPEM) + len(m.BundlePEM); size > maxSize {
		return nil, fmt.Errorf("the material of %s has %d bytes, and at most %d are accepted; take old CAs out of the bundle", svid.ID, size, maxSize)
	}
	return m, nil
}

func (m *Material) equal(o *Material) bool {
	if m == nil || o == nil {
		return m == o
	}
	return m.ID == o.ID && bytes.Equal(m.CertPEM, o.CertPEM) && bytes.Equal(m.KeyPEM, o.KeyPEM) && bytes.Equal(m.BundlePEM, o.BundlePEM)
}
