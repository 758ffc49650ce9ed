// Package disk keeps file systems that do not answer, as on a network whose server is
// gone, from holding those who use them.
package disk
