// Package hostname has the one meaning of a host that all of the gateway shares:
// its canonical form, the patterns of the configuration, and what is loopback.
//
// The hosts of a route, the hosts that an MCP route serves and the server names
// of a TLS policy are compared by it. Where two places read one host in two ways,
// a request passes the one under a name that the other never saw. The names of
// certificates are none of these: there a wildcard is one label (RFC 9525
// section 6.3), and package tls compares them.
package hostname
