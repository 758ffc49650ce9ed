package tls

import "github.com/mcpgateway/mcpgateway/proxy/config"

// IdentityFingerprint sums the certificates that clients are shown: when it
// differs, the next handshake shows others.
func (c *ServerConfig) IdentityFingerprint() [32]byte {
	var sets [][]KeyPair
	for _, p := range c.Resolved() {
		sets = append(sets, p.Certificates)
	}
	return config.Fingerprint(sets)
}

// TrustFingerprint sums what clients are verified by: when it differs, open
// peers are verified again.
func (c *ServerConfig) TrustFingerprint() [32]byte {
	var auths []*ClientAuth
	for _, p := range c.Resolved() {
		auths = append(auths, p.ClientAuth)
	}
	return config.Fingerprint(auths)
}
