// Package examples has no code of its own: it holds configurations that run,
// each in a folder with a README, and the tests that run them.
package examples
