package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
)

// Defaults gives each field that is zero its default, in dst, a pointer to a
// struct, and in everything below it. A field that should be zero, against its
// default, is set afterwards. It is for configurations that are made in code;
// Load does it by itself. The error is a mistake in the tags.
func Defaults(dst any) error {
	v, s, err := compileTarget(dst)
	if err != nil {
		return err
	}
	fillZeros(v, s)
	return nil
}

func fillZeros(v reflect.Value, s *spec) {
	switch s.shape {
	case shapePointer:
		if !v.IsNil() {
			fillZeros(v.Elem(), s.elem)
		}
	case shapeList:
		for i := range v.Len() {
			fillZeros(v.Index(i), s.elem)
		}
	case shapeMap:
		for _, k := range v.MapKeys() {
			elem := reflect.New(s.elem.typ).Elem()
			elem.Set(v.MapIndex(k))
			fillZeros(elem, s.elem)
			v.SetMapIndex(k, elem)
		}
	case shapeStruct:
		for _, f := range s.fields.fields {
			fv := v.Field(f.index)
			if f.def != nil && fv.IsZero() {
				f.setDefault(fv)
			}
			fillZeros(fv, f.spec)
		}
	}
}

// setDefault puts the default into v. checkDefault has seen that it fits.
func (f *field) setDefault(v reflect.Value) {
	switch {
	case !f.plainDefault.IsValid():
	case f.shape == shapeList:
		n := f.plainDefault.Len()
		v.Set(reflect.MakeSlice(f.typ, n, n)) // no two values share one
		reflect.Copy(v, f.plainDefault)
		return
	default:
		v.Set(f.plainDefault)
		return
	}
	v.SetZero()
	d := decoder{report: newReporter("")}
	d.value(f.defaultTree, v, f.spec)
}

// checkDefault reports a default that breaks the field's own rules, and keeps it
// for setDefault, which runs for each item of a list that leaves the key out.
func (f *field) checkDefault() error {
	if *f.def != "" && slices.Contains([]shape{shapeFile, shapeSecret}, f.shape) {
		return errors.New("a file has no default")
	}
	n, err := f.defaultNode()
	if err != nil {
		return err
	}
	d, v := decoder{report: newReporter("")}, reflect.New(f.typ).Elem()
	d.value(n, v, f.spec)
	if errs := d.report.sorted(); len(errs) > 0 {
		return fmt.Errorf("default %q: %s", *f.def, errs[0].Message)
	}
	f.defaultTree = n
	if f.isPlain() || f.shape == shapeList && f.elem.isPlain() {
		f.plainDefault = v
	}
	return nil
}

// isPlain reports whether values hold no references, which no two values may share.
func (s *spec) isPlain() bool {
	switch s.shape {
	case shapeString, shapeBool, shapeInt, shapeUint, shapeFloat, shapeDuration, shapeSize, shapePercent:
		return true
	}
	return false
}

func (f *field) defaultNode() (*node, error) { return f.tagNode(*f.def) }

// tagNode is the tree of what stands in a tag: a scalar as it is, so that it
// needs no quotes, anything else as YAML.
func (f *field) tagNode(text string) (*node, error) {
	s := f.spec
	for s.shape == shapePointer {
		s = s.elem
	}
	switch s.shape {
	case shapeList, shapeMap, shapeStruct:
		report := newReporter("")
		n := parse([]byte(text), report)
		if errs := report.sorted(); len(errs) > 0 {
			return nil, fmt.Errorf("%q: %s", text, errs[0].Message)
		}
		return n, nil
	}
	return &node{text: text, plain: true}, nil
}
