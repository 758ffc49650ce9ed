// Package spec has what the Model Context Protocol fixes, as data: its revisions,
// the names of its headers, and one table of its methods. No other package has
// the name of a method as a literal.
//
// It holds no state.
package spec
