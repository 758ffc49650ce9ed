// Package lock has locks that one process holds at a time, of all that share a
// storage: a directory, maybe on several hosts.
//
// The kernel's locks (flock, fcntl, and the libraries around them) do not reach
// other hosts on every shared file system, and cannot say who holds them; those
// of certmagic's FileStorage tell a dead holder by its clock, and keep a lock
// alive by its path, whichever process holds it by now. So these are files with
// numbers, in one directory a lock: the owner of the highest number holds it. To
// take the lock is to create the next number, once the highest has been given
// back or has not changed for four beats, as the process that waits counts them.
// Only O_EXCL is asked of the file system, and no clocks are compared. No process
// removes the highest number, not even to give the lock back: a process that
// still believes an older number to be the highest would else create one that
// does not count, and hold the lock beside its owner.
package lock
