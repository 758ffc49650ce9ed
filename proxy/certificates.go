package proxy

import (
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"math"
	"math/big"
	"strings"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/admin"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/tls"
	"github.com/mcpgateway/mcpgateway/tls/acme"
)

// What the file names was accepted when the generation was prepared; what fails
// to parse here cannot be described, and is left out.

// appendServer lists what a listener shows, and whom it believes.
func appendServer(list []admin.Certificate, use string, t *tls.ServerConfig) []admin.Certificate {
	list = appendPairs(list, use, t.Certificates)
	list = appendAuth(list, use, &t.ClientAuth)
	for _, p := range t.Policies {
		at := use + ", policy " + p.Hosts[0]
		list = appendPairs(list, at, p.Certificates)
		if p.ClientAuth != nil {
			list = appendAuth(list, at, p.ClientAuth)
		}
	}
	return list
}

func appendPairs(list []admin.Certificate, use string, pairs []tls.KeyPair) []admin.Certificate {
	for _, p := range pairs {
		if id, err := tls.ParseIdentity(p.Cert.Data, p.Key.Data, p.Passphrase.Data); err == nil {
			list = append(list, describe(use, id.Leaf, id.NotAfter()))
		}
	}
	return list
}

func appendAuth(list []admin.Certificate, use string, a *tls.ClientAuth) []admin.Certificate {
	if a.Mode == tls.ClientAuthNone || a.Mode == "" {
		return list
	}
	list = appendTrust(list, use+", client CA", a.CACert)
	if lists, err := tls.ParseCRLs(a.CRL.Data); err == nil {
		for _, l := range lists.Lists() {
			if !l.NextUpdate.IsZero() {
				list = append(list, admin.Certificate{
					Use: use + ", crl", Subject: l.Issuer.String(), Serial: number(l.Number),
					NotAfter: l.NextUpdate, DaysLeft: daysLeft(l.NextUpdate),
				})
			}
		}
	}
	return list
}

// appendClient lists a cluster's identity and trust.
func appendClient(list []admin.Certificate, use string, t *tls.ClientConfig) []admin.Certificate {
	if !t.ClientCert.IsZero() {
		list = appendPairs(list, use, []tls.KeyPair{{Cert: t.ClientCert, Key: t.ClientKey, Passphrase: t.Passphrase}})
	}
	return appendTrust(list, use+", server CA", t.CACert)
}

func appendTrust(list []admin.Certificate, use string, ca config.File) []admin.Certificate {
	if ca.IsZero() {
		return list
	}
	trust, err := tls.ParseTrust(ca.Data)
	if err != nil {
		return list
	}
	for _, cert := range trust.CAs() {
		list = append(list, describe(use, cert, cert.NotAfter))
	}
	return list
}

func describe(use string, c *x509.Certificate, end time.Time) admin.Certificate {
	return admin.Certificate{Use: use, Subject: tls.PeerName(c), Serial: number(c.SerialNumber), NotAfter: end, DaysLeft: daysLeft(end)}
}

// describeManaged describes a certificate by ACME, which may not be there yet.
func describeManaged(s acme.Status) admin.Certificate {
	c := admin.Certificate{Use: "acme", Subject: s.Name}
	if s.Leaf != nil {
		c = describe("acme", s.Leaf, s.Leaf.NotAfter)
		c.Subject = s.Name
	}
	if s.LastError != nil {
		c.Error = s.LastError.Error()
	} else if s.Leaf == nil {
		c.Error = "not obtained yet"
	}
	return c
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

// warnings are the days before the end at which the log says so.
var warnAt = []int{30, 14, 7, 1}

// expiries remembers what the log has said about the end of certificates. It
// belongs to one goroutine.
type expiries map[string]int

// look calls warn for each certificate that came within a further threshold
// since it was last seen. What is no longer in use is forgotten.
func (e expiries) look(certs []admin.Certificate, warn func(admin.Certificate, string)) {
	seen := map[string]bool{}
	for _, c := range certs {
		if c.NotAfter.IsZero() {
			continue
		}
		key := fmt.Sprintf("%s|%s|%s|%d", c.Use, c.Subject, c.Serial, c.NotAfter.Unix())
		seen[key] = true
		threshold := -1
		for i, days := range warnAt {
			if time.Until(c.NotAfter) <= time.Duration(days)*24*time.Hour {
				threshold = i
			}
		}
		if time.Until(c.NotAfter) <= 0 {
			threshold = len(warnAt)
		}
		before, known := e[key]
		if !known {
			before = -1
		}
		e[key] = threshold
		switch {
		case threshold <= before:
		case threshold == len(warnAt):
			warn(c, "has expired")
		default:
			warn(c, fmt.Sprintf("expires within %d days", warnAt[threshold]))
		}
	}
	for key := range e {
		if !seen[key] {
			delete(e, key)
		}
	}
}

// lookEvery is how often the ends of certificates are looked at.
const lookEvery = time.Hour

// warnExpiries says in the log which certificates come to their end.
func (g *Gateway) warnExpiries(said expiries) {
	said.look(g.Status().Certs, func(c admin.Certificate, what string) {
		g.logs.Logger().Warn().Str("use", c.Use).Str("subject", c.Subject).Str("serial", c.Serial).
			Time("not_after", c.NotAfter).Int("days_left", c.DaysLeft).Msg("a certificate or revocation list " + what + "; replace it")
	})
}
