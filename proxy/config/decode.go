package config

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
)

// decoder turns one tree into Go values. It marks the nodes that it reports.
type decoder struct {
	// ctx ends the wait for files.
	ctx context.Context
	// dir is what relative paths are relative to.
	dir string
	// env resolves ${NAME}; nil leaves text as it stands.
	env    func(string) (string, bool)
	files  *files
	report *reporter
	// at is where the value that is being decoded stands.
	at trail
}

// fail reports a value.
func (d *decoder) fail(n *node, format string, args ...any) {
	n.failed = true
	d.report.add(Error{Line: n.line, Column: n.column, Path: d.at.String(), Message: fmt.Sprintf(format, args...)})
}

// value decodes n into v. Where it fails v is zero, or as good as can be.
func (d *decoder) value(n *node, v reflect.Value, s *spec) {
	switch {
	case n.failed:
		return
	case s.shape == shapePointer:
		v.Set(reflect.New(s.elem.typ))
		d.value(n, v.Elem(), s.elem)
		if n.failed {
			v.SetZero()
		}
		return
	case n.null:
		d.fail(n, "has no value; %s", s.way())
		return
	}
	switch s.shape {
	case shapeStruct:
		d.structure(n, v, s)
	case shapeList:
		if n.kind != list {
			way := ""
			if n.kind == scalar {
				way = "; write " + List(clip(n.text))
			}
			d.fail(n, "expected a list, not %s%s", n.kind, way)
			return
		}
		v.Set(reflect.MakeSlice(s.typ, len(n.items), len(n.items)))
		for i, item := range n.items {
			d.at.index(i)
			d.value(item, v.Index(i), s.elem)
			d.at.up()
		}
	case shapeMap:
		if n.kind != mapping {
			d.fail(n, "expected a mapping, not %s", n.kind)
			return
		}
		v.Set(reflect.MakeMapWithSize(s.typ, len(n.items)))
		for i, k := range n.keys {
			elem := reflect.New(s.elem.typ).Elem()
			d.at.key(k.text)
			d.value(n.items[i], elem, s.elem)
			d.at.up()
			v.SetMapIndex(reflect.ValueOf(k.text).Convert(s.typ.Key()), elem)
		}
	default:
		d.scalar(n, v, s)
	}
}

// way says what to write in place of nothing.
func (s *spec) way() string {
	switch s.shape {
	case shapeStruct:
		return "write {} for its defaults, or remove it"
	case shapeMap:
		return "write {} for none, or remove it"
	case shapeList:
		return "write [] for none, or remove it"
	case shapeString, shapeFile, shapeSecret, shapeValue, shapeText:
		if s.nonEmpty {
			return "it is required"
		}
		return `write "" for the empty string, or remove it`
	}
	return "expected " + s.expected() + ", or remove it"
}

func (d *decoder) scalar(n *node, v reflect.Value, s *spec) {
	if s.shape == shapeValue && n.kind == mapping {
		d.fileValue(n, v)
		return
	}
	if n.kind != scalar {
		d.fail(n, "expected %s, not %s", s.expected(), n.kind)
		return
	}
	t, err := d.text(n)
	if err == nil {
		switch s.shape {
		case shapeFile:
			var f File
			f, _, err = d.file(t.value, s)
			v.Set(reflect.ValueOf(f))
		case shapeSecret:
			var f Secret
			f.File, f.memo, err = d.file(t.value, s)
			f.Data = trimNewline(f.Data)
			v.Set(reflect.ValueOf(f))
		default:
			err = s.set(v, t)
			if err == nil && s.typ == typePath && v.String() != "" {
				v.SetString(d.absolute(v.String()))
			}
		}
	}
	if err != nil {
		d.fail(n, "%v", err)
	}
}

// file reads a named file. A File that cannot be read keeps its path, so that
// it does not look absent. asSecret remembers what is made of it as a Secret.
func (d *decoder) file(name string, s *spec) (f File, asSecret *memo, err error) {
	if name == "" {
		if s.nonEmpty {
			return f, nil, errEmpty
		}
		return f, nil, nil
	}
	f.Path = d.absolute(name)
	c, err := d.files.get(d.ctx, f.Path, maxNamed)
	if err != nil {
		return f, nil, fmt.Errorf("cannot read %s: %w", clipTo(f.Path, longestPath), err)
	}
	f.Data, f.memo = slices.Clip(WithoutBOM(c.data)), c.file
	return f, c.secret, nil
}

// absolute resolves a path against the folder of the YAML file.
func (d *decoder) absolute(name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(d.dir, name)
}

// trimNewline strips the one newline that editors and echo put at the end.
func trimNewline(data []byte) []byte {
	return slices.Clip(bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r")))
}

// fileValue decodes {file: path} into a Value.
func (d *decoder) fileValue(n *node, v reflect.Value) {
	var from struct {
		File Secret `yaml:"file" required:"true"`
	}
	s, err := compile(reflect.TypeOf(from))
	if err != nil {
		d.fail(n, "%v", err)
		return
	}
	d.structure(n, reflect.ValueOf(&from).Elem(), s)
	v.Set(reflect.ValueOf(Value{Text: string(from.File.Data), File: from.File.Path}))
}

func (d *decoder) structure(n *node, v reflect.Value, s *spec) {
	short := s.fields.shorthand
	if n.kind == scalar && short != nil {
		n.shorthand = short.key
		d.value(n, v.Field(short.index), short.spec)
		for _, f := range s.fields.fields {
			if f != short {
				d.absent(f, v.Field(f.index), n)
			}
		}
		return
	}
	if n.kind != mapping {
		d.fail(n, "expected %s, not %s", s.expected(), n.kind)
		return
	}
	d.unknown(n, s.fields)
	for _, f := range s.fields.fields {
		fv, child := v.Field(f.index), n.get(f.key)
		switch {
		case child != nil:
			d.at.key(f.key)
			d.value(child, fv, f.spec)
			d.at.up()
			if child.failed && f.def != nil {
				f.setDefault(fv)
			}
		case n.excused[f.key]:
			d.absent(f, fv, nil)
		default:
			d.absent(f, fv, n)
		}
	}
}

// unknown reports the keys of a mapping that the struct does not have.
func (d *decoder) unknown(n *node, s *structSpec) {
	for i, k := range n.keys {
		if s.field(k.text) != nil {
			continue
		}
		n.items[i].failed = true
		message := "unknown key"
		switch {
		case slices.Contains(s.later, k.text):
			message = "not supported by this version"
		case d.report.full():
			// The reporter drops further errors, and each suggestion costs time.
		default:
			free := slices.DeleteFunc(s.keys(), func(known string) bool { return n.get(known) != nil })
			meant := closest(k.text, free)
			if meant == "" {
				meant = closest(k.text, s.keys())
			} else {
				n.excuse(meant)
			}
			if meant != "" {
				message += fmt.Sprintf("; did you mean %q?", meant)
			}
		}
		d.report.add(Error{Line: k.line, Column: k.column, Path: atKey(d.at.String(), clip(k.text)), Message: message})
	}
}

// absent fills in a key that is not there. What is required is reported at
// holder, the deepest mapping that is; a nil holder reports nothing.
func (d *decoder) absent(f *field, v reflect.Value, holder *node) {
	if f.def != nil {
		f.setDefault(v)
		return
	}
	d.at.key(f.key)
	defer d.at.up()
	switch {
	case f.required && holder != nil:
		d.report.add(Error{Line: holder.line, Column: holder.column, Path: d.at.String(), Message: "is required"})
	case f.shape == shapeStruct && !f.required:
		for _, sub := range f.fields.fields {
			d.absent(sub, v.Field(sub.index), holder)
		}
	}
}
