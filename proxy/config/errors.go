package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Error is one thing that is wrong with the file, and where.
type Error struct {
	// File is the path of the YAML file as it was given to Load.
	File string
	// Line and Column count from 1; 0 is the file, or the line, as a whole.
	Line, Column int
	// Path is the YAML path, such as clusters[1].tls.client_cert; empty for
	// the document itself.
	Path string
	// Message says what is wrong and, where that is known, what to write instead.
	Message string
	// Transient: the error may go by itself, because a program is in the middle
	// of replacing files. Load retries for a while before it reports it.
	Transient bool
}

// Error is one line: "config.yaml:31:7: clusters[1].tls.cret: unknown key".
func (e Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
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

// transient reports whether each of the errors may go by itself.
func (es Errors) transient() bool {
	return len(es) > 0 && !slices.ContainsFunc(es, func(e Error) bool { return !e.Transient })
}

// maxErrors bounds the errors that are reported of one file.
const maxErrors = 200

// reporter collects errors or warnings. It is bounded: each byte of a hostile file
// could otherwise cause one.
type reporter struct {
	file    string
	all     Errors
	seen    map[once]bool
	dropped int
}

// once is what makes two reports the same one: what an alias refers to is
// decoded at each of its uses, and reported at the first.
type once struct {
	line, column  int
	last, message string
}

func newReporter(file string) *reporter {
	return &reporter{file: file, seen: map[once]bool{}}
}

func (r *reporter) add(e Error) {
	o := once{e.Line, e.Column, e.Path[strings.LastIndexAny(e.Path, ".[")+1:], e.Message}
	if e.Line > 0 && r.seen[o] {
		return
	}
	if r.full() {
		r.dropped++
		return
	}
	r.seen[o] = true
	e.File = r.file
	e.Path, e.Message = singleLine(e.Path), singleLine(e.Message)
	r.all = append(r.all, e)
}

// full reports that further errors will only be counted.
func (r *reporter) full() bool { return len(r.all) >= maxErrors }

// sorted returns what was collected, by position.
func (r *reporter) sorted() Errors {
	es := slices.Clone(r.all)
	slices.SortStableFunc(es, func(a, b Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if r.dropped > 0 {
		es = append(es, Error{File: r.file, Message: fmt.Sprintf("%d more are not shown", r.dropped)})
	}
	return es
}

// singleLine keeps a line of output one line, whatever the file quoted in it.
func singleLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
