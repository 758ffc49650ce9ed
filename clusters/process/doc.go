// Package process runs the child processes of a command: it starts them, bounds
// how many there are, delays their starts after they have failed, hands on what
// they write to stderr, and ends them with all that they have started.
//
// A Process has an environment of its own making (Environ) and a process group
// of its own. What is sent over its pipes, its user decides.
//
// All methods are safe for concurrent use. The lock of a command's slots is
// never held while that of a Process is taken, nor the other way around; that of
// a Backoff is a leaf.
package process
