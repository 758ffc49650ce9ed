package proxy

import (
	"encoding/hex"
	"math"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/admin"
	"github.com/mcpgateway/mcpgateway/tls"
	"github.com/mcpgateway/mcpgateway/tls/acme"
)

// dated is a certificate or a revocation list in use.
type dated struct {
	admin.Certificate
	notBefore time.Time
	renewal   renewal
	// outlived: it is on its way out, and another one stands beside it.
	outlived bool
}

// describe lists what the generation rests on. That does not change any more
// once it is prepared, so it is done once: a status or a scrape must neither
// derive a key from a passphrase nor read a revocation list.
func (g *Generation) describe() []dated {
	var list []dated
	add := func(use string, all []tls.Dated) {
		for _, d := range all {
			c := dated{
				Certificate: admin.Certificate{Use: use + d.Use, Subject: d.Subject, Serial: number(d.Serial), NotAfter: d.NotAfter},
				notBefore:   d.NotBefore, renewal: byHand, outlived: d.Outlived,
			}
			if d.Delivered {
				c.renewal = byAgent
			}
			list = append(list, c)
		}
	}
	for _, l := range g.served {
		if l.tls != nil {
			add("listener "+l.config.Name, l.tls.Dated())
		}
	}
	if a := g.config.ACME; a != nil {
		add("acme", a.Dated())
	}
	for _, c := range g.clusters.All() {
		if t := c.TLS(); t != nil {
			add("cluster "+c.Name(), t.Dated())
		}
	}
	return list
}

// certificatesNow lists what is in use now: certificates by ACME come and go
// within a generation.
func (g *Generation) certificatesNow(managed *acme.Manager) []dated {
	list := slices.Clone(g.certificates)
	for _, s := range managed.Status() {
		list = append(list, describeManaged(s))
	}
	for i := range list {
		if c := &list[i]; !c.NotAfter.IsZero() {
			c.DaysLeft = daysLeft(c.NotAfter)
		}
	}
	return list
}

// describeManaged describes a certificate by ACME, which may not be there yet.
func describeManaged(s acme.Status) dated {
	d := dated{Certificate: admin.Certificate{Use: "acme", Subject: s.Name}, renewal: byACME}
	if s.Leaf != nil {
		d.Serial, d.NotAfter, d.notBefore = number(s.Leaf.SerialNumber), s.Leaf.NotAfter, s.Leaf.NotBefore
	}
	if s.LastError != nil {
		d.Error = s.LastError.Error()
	} else if s.Leaf == nil {
		d.Error = "not obtained yet"
	}
	return d
}

// number is as openssl prints it; empty for a revocation list without one, such
// as openssl makes from a configuration without crlnumber.
func number(n *big.Int) string {
	if n == nil {
		return ""
	}
	return strings.ToUpper(hex.EncodeToString(n.Bytes()))
}

func daysLeft(end time.Time) int { return int(math.Floor(time.Until(end).Hours() / 24)) }
