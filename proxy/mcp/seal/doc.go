// Package seal encrypts and authenticates what clients hold for the gateway:
// cursors of lists, states of calls that wait for input, and ids of servers. What
// a client brings back opens only where it belongs, and only with a key of the
// gateway's.
package seal
