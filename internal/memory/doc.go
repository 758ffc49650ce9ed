// Package memory has the budget of the memory that peers can make the process
// keep: bodies that are being read, answers that wait for their clients, events
// that can be resumed, sessions, connections.
//
// The code that keeps such bytes charges them to the Budget before they are read, and
// returns the charge when they are given up. What is charged leaves out stacks,
// TLS buffers and garbage, so after each garbage collection the Budget also looks
// at what is really live. The greater of both is the pressure, and the share of
// the limit that it takes decides what is refused (Level).
//
// All methods may be called concurrently, but those of one Lease: that has one
// holder. A nil Budget has no limit, and takes every charge.
package memory
