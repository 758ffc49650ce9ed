// Package descriptors keeps some of the descriptors that the process may open from
// being taken by clients: those of the admin address, of reloads and of processes
// must be had when clients hold all that they can get.
//
// The kernel gives each new descriptor the lowest number that is free (POSIX.1,
// 2.14), so a high number tells how many are open, without counting them.
package descriptors
