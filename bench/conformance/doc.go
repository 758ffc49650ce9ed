// Command conformance shows that the gateway is transparent: it runs the
// official MCP conformance suite against the Go SDK's everything-server, and
// against clients, directly and through the gateway, and fails when a scenario
// passes directly and fails through the gateway. It compares the TypeScript SDK's
// reference server and real clients of several SDKs in the same way.
//
// Through the gateway means: by a cluster in plain text, by one that demands a
// client certificate, and by a federation of two servers. In a federation clients
// see other names than those that the suite uses; a shim in front of the gateway
// translates them.
//
// The zoo runs servers and clients of many SDKs and versions with each other while
// the servers are stopped, killed, restarted once, restarted ten times under load,
// and left idle. It compares what each client sees through one cluster
// and through a federation with what it sees directly. Its programs, one server
// and one client for each SDK, stand in zoo/.
//
// What it runs is installed by the Makefile. As a client of the suite it runs
// itself, since the suite names the server's address in the last argument.
package main
