package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Validator is implemented by the structs of the file that check more than
// their tags can say. Load calls it for every such struct value, children
// before parents, after the whole file was decoded; a struct that could not be
// decoded at all is left out, one with mistakes in some fields is not.
type Validator interface{ Validate(*Scope) }

// Scope is one struct value's place in the file, handed to its Validate. A
// field is named relative to that struct, as the YAML spells it: "client_cert",
// "endpoints[1]", "tls.ca_cert", `headers["x.y"]`; "" is the struct itself. What
// is not in the file is placed at the deepest part of its path that is. A Scope
// must not be used after Validate returned, nor by several goroutines.
type Scope struct {
	at               place  // of the struct
	trail            *trail // to it, while its Validate runs
	running          *Snapshot
	errors, warnings *reporter
}

// Errorf reports a mistake of the named field. It is silent where that field
// has been reported already, and for the struct itself where one of its own
// keys has: what would be said is most likely a consequence.
func (s *Scope) Errorf(field, format string, args ...any) {
	s.report(s.errors, field, false, format, args)
}

// Transientf reports a mistake that may go by itself, such as a certificate
// that does not fit its key while a program replaces both. Load tries again for
// a while when there are no other mistakes.
func (s *Scope) Transientf(field, format string, args ...any) {
	s.report(s.errors, field, true, format, args)
}

// Warnf reports something that is legal, and that the operator should know.
func (s *Scope) Warnf(field, format string, args ...any) {
	s.report(s.warnings, field, false, format, args)
}

// IsSet reports whether the key stood in the file.
func (s *Scope) IsSet(field string) bool { return s.find(field).exact }

// Serves reports whether the generation in force was loaded with a file of the
// same content, under any name: moving a file changes nothing. What has expired
// there meanwhile must not keep an edit from being applied. It is not for
// secrets, which are not kept as the file has them.
func (s *Scope) Serves(f File) bool { return !f.IsZero() && s.running.holds(f.Data) }

// Failed reports whether the field has been reported already, so that its
// value says nothing.
func (s *Scope) Failed(field string) bool { return s.find(field).reported }

// Clean reports whether no mistake of the file has been reported so far, so that
// values are those that the file has.
func (s *Scope) Clean() bool { return len(s.errors.all) == 0 }

// Position is where the field stands, as file:line, for messages about another one.
func (s *Scope) Position(field string) string {
	return fmt.Sprintf("%s:%d", s.errors.file, s.find(field).line)
}

func (s *Scope) find(field string) place { return s.at.walk(field) }

func (s *Scope) report(to *reporter, field string, transient bool, format string, args []any) {
	at := s.find(field)
	if at.reported || field == "" && at.exact && at.anyFailed() {
		return
	}
	to.add(Error{
		Line: at.line, Column: at.column, Path: atField(s.trail.String(), field),
		Message: fmt.Sprintf(format, args...), Transient: transient,
	})
}

// anyFailed reports whether a value right below n was reported.
func (n *node) anyFailed() bool {
	return len(n.excused) > 0 || slices.ContainsFunc(n.items, func(c *node) bool { return c.failed })
}

// holdsStruct reports whether there can be a Validator at or below s.
func (s *spec) holdsStruct() bool {
	for s.elem != nil {
		s = s.elem
	}
	return s.shape == shapeStruct
}

// validate calls every Validator at and below v, children first.
func (s *Scope) validate(v reflect.Value, sp *spec) {
	if !sp.holdsStruct() || s.at.reported {
		return
	}
	switch sp.shape {
	case shapePointer:
		if !v.IsNil() {
			s.validate(v.Elem(), sp.elem)
		}
	case shapeList:
		for i := range v.Len() {
			s.below(step{index: i}, v.Index(i), sp.elem)
		}
	case shapeMap:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			// What a map holds has no address for a method with a pointer.
			elem := reflect.New(sp.elem.typ).Elem()
			elem.Set(v.MapIndex(k))
			s.below(step{k.String(), -1}, elem, sp.elem)
			v.SetMapIndex(k, elem)
		}
	case shapeStruct:
		for _, f := range sp.fields.fields {
			if field := v.Field(f.index); f.holdsStruct() && !isNothing(field) {
				s.below(step{f.key, -1}, field, f.spec)
			}
		}
		if validator, ok := v.Addr().Interface().(Validator); ok {
			validator.Validate(s)
		}
	}
}

// below validates a value one step below s.
func (s *Scope) below(to step, v reflect.Value, sp *spec) {
	child := *s
	child.at = s.at.down(to)
	*s.trail = append(*s.trail, to)
	child.validate(v, sp)
	s.trail.up()
}

// isNothing reports whether there is no struct at or below v: most of what may
// stand in a file does not.
func isNothing(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer:
		return v.IsNil()
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	}
	return false
}
