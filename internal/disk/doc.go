// Package disk keeps a file system that does not answer, such as one on a network
// whose server is gone, from blocking its callers.
package disk
