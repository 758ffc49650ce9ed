// Package spiffe gets X.509 identities and the CAs of their trust domain from
// the SPIFFE Workload API, which agents such as SPIRE's serve on a socket.
//
// Sources watches any number of sockets and keeps what each has last delivered
// as Material, in the way of a file pair and a CA file. It tells its owner when
// a socket delivered something new, and leaves it to him to Get it and to put
// it into service.
//
// Everything in it is safe for concurrent use. It reads neither files nor
// environment variables; SPIFFE_ENDPOINT_SOCKET does not count.
package spiffe
