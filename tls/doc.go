// Package tls holds certificates and trust: who we are, and whom we believe.
//
// A ServerSnapshot is everything that decides about a downstream handshake, a
// policy for every server name, and is immutable; a Server is one atomic pointer
// to it, so that no handshake ever sees a new certificate with an old CA. What
// changes by itself, a certificate by ACME and session-ticket keys, is asked for
// at each handshake; tickets belong to one policy and one set of certificates. A Client is the upstream side of one
// identity: it owns the TLS sessions that were made with it. Peers are
// authorised in VerifyConnection, which, unlike VerifyPeerCertificate, also
// runs on resumed handshakes.
//
// The package opens no files: it parses what the configuration read. Everything
// in it is safe for concurrent use and starts no goroutine. The standard
// package is imported as cryptotls here and everywhere.
package tls
