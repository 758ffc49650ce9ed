package tls

import (
	cryptotls "crypto/tls"
	"crypto/x509"
	"time"
)

// VerifiedUntil is when the peer of a connection would verify no more: when the
// last of its chains is over, of which each is over with its first certificate
// to expire. The CA that is trusted does not count. The result is zero where
// VerifiedPeer is nil.
func VerifiedUntil(cs *cryptotls.ConnectionState) time.Time {
	var last time.Time
	if VerifiedPeer(cs) == nil {
		return last
	}
	for _, chain := range cs.VerifiedChains {
		if end := chainEnd(chain); end.After(last) {
			last = end
		}
	}
	return last
}

// chainEnd is when a chain from a leaf to a root is over. A leaf may be a root
// itself.
func chainEnd(chain []*x509.Certificate) time.Time {
	end := chain[0].NotAfter
	for _, cert := range chain[1:max(1, len(chain)-1)] {
		if cert.NotAfter.Before(end) {
			end = cert.NotAfter
		}
	}
	return end
}
