// Package tlstest makes certificate authorities and certificates for tests,
// among them the odd ones that people really have: X.509 version 1, without
// subject alternative names, expired, signed by an intermediate.
//
// A CA is safe for concurrent use. Keys are ECDSA P-256, since tests make many.
package tlstest
