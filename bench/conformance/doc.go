// Command conformance shows that the gateway is transparent: it runs the
// official MCP conformance suite against the Go SDK's everything-server, and
// against clients, directly and through the gateway side by side, and fails
// when a scenario passes directly and not through. The TypeScript SDK's
// reference server and real clients of several SDKs go the same two ways.
//
// Through the gateway means: by a cluster in plain text, by one that demands a
// client certificate, and by a federation of two servers. In a federation the
// names that the suite knows are not those that clients see; a shim before the
// gateway translates them.
//
// The zoo keeps servers and clients of many SDKs and versions under each other
// while the servers are stopped, killed, restarted, once and ten times under
// load, and left alone. It compares what each client sees through one cluster
// and through a federation with what it sees directly. Its programs, one server
// and one client for each SDK, stand in zoo/.
//
// What it runs is installed by the Makefile. As a client of the suite it runs
// itself, since the suite names the server's address in the last argument.
package main
