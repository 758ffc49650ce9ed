package config

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Error is one thing that is wrong with the file, and where.
type Error struct {
	// File is the path of the YAML file as it was given to Load.
	File string
	// Line and Column count from 1; 0 means the file as a whole.
	Line, Column int
	// Path is the YAML path, such as clusters[1].tls.client_cert; empty for
	// the document itself.
	Path string
	// Message says what is wrong, and the way out where there is one.
	Message string
	// Transient: the error may cure itself, because somebody is in the middle
	// of replacing files. Load retries for a while before it reports it.
	Transient bool
}

// Error is one line: "config.yaml:31:7: clusters[1].tls.cret: unknown key".
func (e Error) Error() string {
	var b strings.Builder
	b.WriteString(filepath.Base(e.File))
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
		if e.Column > 0 {
			fmt.Fprintf(&b, ":%d", e.Column)
		}
	}
	b.WriteString(": ")
	if e.Path != "" {
		b.WriteString(e.Path)
		b.WriteString(": ")
	}
	b.WriteString(e.Message)
	return b.String()
}

// Errors is everything that is wrong with the file, in the order in which it
// stands there.
type Errors []Error

// Error is all of them, one a line.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// sorted returns the errors by position, without exact repetitions: an alias
// brings the same mistake up once for every place that refers to it.
func (es Errors) sorted() Errors {
	es = slices.Clone(es)
	slices.SortStableFunc(es, func(a, b Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Path, b.Path), cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(es)
}

// transient reports that each of the errors may cure itself.
func (es Errors) transient() bool {
	return len(es) > 0 && !slices.ContainsFunc(es, func(e Error) bool { return !e.Transient })
}
