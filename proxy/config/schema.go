package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// Schema is the JSON Schema, draft 2020-12, of a file that decodes into the
// struct v is, or points to. It comes from the same tags as the decoder, so an
// editor that follows it accepts what Load accepts, as far as a schema can say;
// keys that this version refuses do not appear.
func Schema(v any, title string) ([]byte, error) {
	t := reflect.TypeOf(v)
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil {
		return nil, fmt.Errorf("a schema needs a struct, not %T", v)
	}
	s, err := compile(t)
	if err != nil {
		return nil, err
	}
	w := schemaWriter{within: map[*structSpec]bool{}}
	root := w.object(s)
	if w.err != nil {
		return nil, w.err
	}
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = title
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(root); err != nil {
		return nil, fmt.Errorf("encoding the schema: %w", err)
	}
	return b.Bytes(), nil
}

type schemaWriter struct {
	// within holds the structs being written: one inside itself has no end.
	within map[*structSpec]bool
	err    error
}

// envForm matches a scalar that substitution may turn into anything.
const envForm = `\$\{` + envName + `(:-[^}]*)?\}`

// orEnv is the pattern of one form, or of a string that holds ${NAME}.
func orEnv(form string) string { return "^(?:" + form + ")$|" + envForm }

func (w *schemaWriter) value(s *spec) map[string]any {
	switch s.shape {
	case shapePointer:
		return w.value(s.elem)
	case shapeList:
		return map[string]any{"type": "array", "items": w.value(s.elem)}
	case shapeMap:
		return map[string]any{"type": "object", "additionalProperties": w.value(s.elem)}
	case shapeStruct:
		if short := s.fields.shorthand; short != nil {
			return map[string]any{"oneOf": []any{w.field(short), w.object(s)}}
		}
		return w.object(s)
	case shapeValue:
		return map[string]any{"oneOf": []any{
			map[string]any{"type": []string{"string", "number", "boolean"}},
			map[string]any{
				"type": "object", "required": []string{"file"}, "additionalProperties": false,
				"properties": map[string]any{"file": map[string]any{"type": "string", "minLength": 1}},
			},
		}}
	}
	return s.scalarSchema()
}

func (w *schemaWriter) object(s *spec) map[string]any {
	if w.within[s.fields] {
		w.err = fmt.Errorf("%s holds itself", s.typ)
		return nil
	}
	w.within[s.fields] = true
	defer delete(w.within, s.fields)
	properties := map[string]any{}
	var required []string
	for _, f := range s.fields.fields {
		properties[f.key] = w.field(f)
		if f.required && f.def == nil {
			required = append(required, f.key)
		}
	}
	o := map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		o["required"] = required
	}
	return o
}

func (w *schemaWriter) field(f *field) map[string]any {
	o := w.value(f.spec)
	if o == nil {
		return nil
	}
	description := f.doc
	if f.shape == shapeDuration || f.shape == shapeSize || f.shape == shapePercent {
		for _, bound := range []struct{ words, value string }{{"At least", f.min}, {"At most", f.max}} {
			if bound.value != "" {
				description += fmt.Sprintf(" %s %s.", bound.words, bound.value)
			}
		}
	}
	if description != "" {
		o["description"] = strings.TrimSpace(description)
	}
	if f.def != nil {
		if n, err := f.tagNode(*f.def); err == nil {
			o["default"] = f.json(n)
		}
	}
	if f.example != "" {
		if n, err := f.tagNode(f.example); err == nil {
			o["examples"] = []any{f.json(n)}
		}
	}
	return o
}

func (s *spec) scalarSchema() map[string]any {
	o := map[string]any{"type": "string"}
	switch s.shape {
	case shapeBool:
		o["type"], o["pattern"] = []string{"boolean", "string"}, envForm
	case shapeInt, shapeUint, shapeFloat:
		o["type"], o["pattern"] = []string{"integer", "string"}, envForm
		if s.shape == shapeFloat {
			o["type"] = []string{"number", "string"}
		}
		if s.shape == shapeUint {
			o["minimum"] = 0
		}
		if s.min != "" {
			o["minimum"] = json.Number(s.min)
		}
		if s.max != "" {
			o["maximum"] = json.Number(s.max)
		}
	case shapeDuration:
		// Of all numbers, only 0 needs no unit.
		o["type"], o["minimum"], o["maximum"] = []string{"string", "integer"}, 0, 0
		o["pattern"] = orEnv(`0|([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+`)
	case shapeSize:
		o["type"], o["minimum"] = []string{"string", "integer"}, 0
		o["pattern"] = orEnv(`[0-9]+(KiB|MiB|GiB)?`)
	case shapePercent:
		o["pattern"] = orEnv(`[0-9]+(\.[0-9]+)?%`)
	case shapeString, shapeText:
		switch {
		case s.enum != nil:
			allowed := s.enum
			if s.emptyIsAbsent {
				allowed = append([]string{""}, allowed...)
			}
			return map[string]any{"anyOf": []any{
				map[string]any{"enum": allowed},
				map[string]any{"type": "string", "pattern": envForm},
			}}
		case s.pattern != nil:
			form := trimAnchors(s.pattern)
			if s.emptyIsAbsent {
				form += "|"
			}
			o["pattern"] = orEnv(form)
		case s.shape == shapeString:
			o["type"] = []string{"string", "number", "boolean"}
		}
	}
	if s.nonEmpty && o["pattern"] == nil {
		o["minLength"] = 1
	}
	return o
}

// json is a default or example, as JSON has it.
func (s *spec) json(n *node) any {
	switch s.shape {
	case shapePointer:
		return s.elem.json(n)
	case shapeList:
		all := []any{}
		for _, item := range n.items {
			all = append(all, s.elem.json(item))
		}
		return all
	case shapeMap, shapeStruct:
		if n.kind != mapping {
			return n.text
		}
		all := map[string]any{}
		for i, k := range n.keys {
			elem := s.elem
			if s.shape == shapeStruct {
				f := s.fields.field(k.text)
				if f == nil {
					continue
				}
				elem = f.spec
			}
			all[k.text] = elem.json(n.items[i])
		}
		return all
	case shapeBool:
		return n.text == "true"
	case shapeInt, shapeUint, shapeFloat:
		return json.Number(n.text)
	case shapeSize:
		if size, err := ParseSize(n.text); err == nil && size.String() == n.text && size < 1<<10 {
			return int64(size)
		}
	}
	return n.text
}
