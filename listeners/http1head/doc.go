// Package http1head reads the head of an HTTP/1.1 request, and finds the end of
// its body (RFC 9112), before any other code sees the bytes.
//
// It is strict where others are lenient: two parsers that disagree about the end
// of a request let a client hide a second request in the body of the first one,
// past whatever judges requests in front of us. What is accepted here has one
// meaning. The package does no I/O, keeps no copy of what it is given, and
// allocates nothing.
package http1head
