package tls

import (
	"crypto/x509"
	"math/big"
	"slices"
	"time"
)

// Dated is something in use that comes to an end: a certificate or a revocation
// list. What is by ACME changes by itself, and is not among them.
type Dated struct {
	// Use says what for, and begins with a comma; it is empty for what all
	// peers are shown.
	Use     string
	Subject string
	Serial  *big.Int // nil: a list without a number
	// NotBefore and NotAfter are the first certificate's, but for the end,
	// which is the earliest of the chain; a list ends with its next update.
	NotBefore, NotAfter time.Time
	// Delivered: a Workload API replaces it in time.
	Delivered bool
	// Outlived: another CA of the same delivery is good for longer. Those that
	// an agent phases out stay in its bundle to their end.
	Outlived bool
}

// Dated lists what handshakes rest on. What a policy has in common with the
// other names of the listener is listed there alone.
func (s *ServerSnapshot) Dated() []Dated {
	last := len(s.policies) - 1
	list := s.policies[last].dated("", new(policy))
	for _, p := range s.policies[:last] {
		list = append(list, p.dated(", policy "+p.hosts[0].String(), s.policies[last])...)
	}
	return list
}

// dated lists what the other policy has not.
func (p *policy) dated(use string, other *policy) []Dated {
	var list []Dated
	for _, s := range p.certificates {
		if s.identity != nil && !other.shows(s.identity) {
			list = append(list, s.identity.dated(use))
		}
	}
	if p.trust != nil && !p.trust.equal(other.trust) {
		list = append(list, p.trust.Dated(use+", client CA")...)
	}
	if p.crls != nil && !p.crls.equal(other.crls) {
		list = append(list, p.crls.dated(use+", crl")...)
	}
	return list
}

func (p *policy) shows(id *Identity) bool {
	return slices.ContainsFunc(p.certificates, func(s source) bool { return s.identity != nil && s.identity.Leaf.Equal(id.Leaf) })
}

// Dated lists the cluster's identity and trust.
func (c *Client) Dated() []Dated {
	var list []Dated
	if c.identity != nil {
		list = append(list, c.identity.dated(""))
	}
	if c.trust != nil {
		list = append(list, c.trust.Dated(", server CA")...)
	}
	return list
}

func (i *Identity) dated(use string) Dated {
	d := datedCertificate(use, i.Leaf)
	d.NotAfter, d.Delivered = i.notAfter, i.delivered
	return d
}

// Dated lists the CAs, as in use for something.
func (t *Trust) Dated(use string) []Dated {
	var list []Dated
	for _, ca := range t.cas {
		d := datedCertificate(use, ca)
		d.Delivered, d.Outlived = t.delivered, t.delivered && ca.NotAfter.Before(t.lastNotAfter)
		list = append(list, d)
	}
	return list
}

func (c *crls) dated(use string) []Dated {
	var list []Dated
	for _, l := range c.lists {
		if !l.list.NextUpdate.IsZero() {
			list = append(list, Dated{
				Use: use, Subject: l.list.Issuer.String(), Serial: l.list.Number,
				NotBefore: l.list.ThisUpdate, NotAfter: l.list.NextUpdate,
			})
		}
	}
	return list
}

func datedCertificate(use string, c *x509.Certificate) Dated {
	return Dated{Use: use, Subject: PeerName(c), Serial: c.SerialNumber, NotBefore: c.NotBefore, NotAfter: c.NotAfter}
}
