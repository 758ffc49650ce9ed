// Package peertest holds upstream servers for tests, strict ones that want a client
// certificate among them, and what speaks to them.
package peertest
