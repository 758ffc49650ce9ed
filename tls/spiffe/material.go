package spiffe

import (
	"fmt"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"

	"github.com/mcpgateway/mcpgateway/proxy/config"
)

// maxSize bounds the material of one socket. An SVID has a few KiB, and so has
// each CA of a bundle.
const maxSize = 1 << 20

// Material is what one Workload API has delivered: who we are, and whom we
// believe in our own trust domain. It is immutable.
type Material struct {
	// ID is the default SVID's. The default is the first that the Workload API
	// lists.
	ID ID
	// Cert is the SVID, followed by its intermediates, in PEM.
	Cert config.File
	// Key is its private key in PKCS#8, in PEM.
	Key config.Secret
	// Bundle holds the CAs of the SVID's own trust domain, in PEM, and no federated
	// domain's: X.509 name constraints do not confine URI names everywhere, so
	// a foreign CA in the same pool could vouch for a name of ours.
	Bundle config.File
}

// ID names a workload, as spiffe://trust.domain/path. The zero ID names none.
type ID = spiffeid.ID

// Of returns the Material that a content is part of; nil for a file's.
func Of(f config.File) *Material {
	m, _ := f.Origin.(*Material)
	return m
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
	cert, key, err := svid.Marshal()
	if err != nil {
		return nil, err
	}
	authorities, err := bundle.Marshal()
	if err != nil {
		return nil, err
	}
	if size := len(cert) + len(key) + len(authorities); size > maxSize {
		return nil, fmt.Errorf("the material of %s has %d bytes, and at most %d are accepted; take old CAs out of the bundle", svid.ID, size, maxSize)
	}
	m := &Material{ID: svid.ID}
	m.Cert, m.Key.File, m.Bundle = config.NewFile(m, cert), config.NewFile(m, key), config.NewFile(m, authorities)
	return m, nil
}

func (m *Material) equal(o *Material) bool {
	if m == nil || o == nil {
		return m == o
	}
	return m.ID == o.ID && m.Cert.Equal(o.Cert) && m.Key.Equal(o.Key.File) && m.Bundle.Equal(o.Bundle)
}
