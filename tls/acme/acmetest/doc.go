// Package acmetest runs Pebble, an ACME server for tests, with a DNS server that
// sends every name to 127.0.0.1.
package acmetest
