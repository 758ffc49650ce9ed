package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"time"
)

// shape is how a Go type is written in YAML.
type shape int

const (
	shapeString shape = iota
	shapeBool
	shapeInt
	shapeUint
	shapeFloat
	shapeDuration
	shapeSize
	shapePercent
	shapeText // encoding.TextUnmarshaler
	shapeFile
	shapeSecret
	shapeValue
	shapePointer
	shapeList
	shapeMap
	shapeStruct
)

// spec is what a Go type and the tags of its field say about one value.
type spec struct {
	shape  shape
	typ    reflect.Type
	elem   *spec       // pointer, list and map; carries the same rules
	fields *structSpec // struct
	rules
}

// rules are the constraints that tags put on a scalar, or on each scalar of a
// list or map.
type rules struct {
	enum, later []string
	pattern     *regexp.Regexp
	min, max    string
	// nonEmpty: "" is an error, since the key is required.
	nonEmpty bool
	// emptyIsAbsent: "" breaks no rule, since it is what an absent key gives.
	emptyIsAbsent bool
}

// structSpec is what the tags of a struct type say.
type structSpec struct {
	fields    []*field
	later     []string
	shorthand *field
}

// field is one key of a struct.
type field struct {
	index        int
	key          string
	doc, example string
	def          *string
	required     bool
	*spec

	// defaultTree is def as it is decoded, plainDefault the value itself where it
	// holds no references.
	defaultTree  *node
	plainDefault reflect.Value
}

func (s *structSpec) field(key string) *field {
	for _, f := range s.fields {
		if f.key == key {
			return f
		}
	}
	return nil
}

func (s *structSpec) keys() []string {
	keys := make([]string, len(s.fields))
	for i, f := range s.fields {
		keys[i] = f.key
	}
	return keys
}

var (
	typeFile = reflect.TypeFor[File]()
	typePath = reflect.TypeFor[Path]()
)

// shapes are those of single types, and kinds those of all others of a kind.
var (
	shapes = map[reflect.Type]shape{
		reflect.TypeFor[time.Duration](): shapeDuration, reflect.TypeFor[Size](): shapeSize, reflect.TypeFor[Percent](): shapePercent,
		typeFile: shapeFile, reflect.TypeFor[Secret](): shapeSecret, reflect.TypeFor[Value](): shapeValue,
	}
	kinds = map[reflect.Kind]shape{
		reflect.String: shapeString, reflect.Bool: shapeBool, reflect.Float32: shapeFloat, reflect.Float64: shapeFloat,
		reflect.Int: shapeInt, reflect.Int8: shapeInt, reflect.Int16: shapeInt, reflect.Int32: shapeInt, reflect.Int64: shapeInt,
		reflect.Uint: shapeUint, reflect.Uint8: shapeUint, reflect.Uint16: shapeUint, reflect.Uint32: shapeUint, reflect.Uint64: shapeUint,
		reflect.Pointer: shapePointer, reflect.Slice: shapeList, reflect.Map: shapeMap, reflect.Struct: shapeStruct,
	}
)

// compile reads the tags of a struct type, and of every type below it. Its
// errors are mistakes in Go code, not in a file.
func compile(t reflect.Type) (*spec, error) {
	c := compiler{structs: map[reflect.Type]*structSpec{}}
	s, err := c.spec(t, rules{})
	if err != nil {
		return nil, fmt.Errorf("tags of %s: %w", t, err)
	}
	if s.shape != shapeStruct {
		return nil, fmt.Errorf("%s is no struct", t)
	}
	return s, nil
}

// compileTarget is compile for what dst points to.
func compileTarget(dst any) (reflect.Value, *spec, error) {
	v := reflect.ValueOf(dst)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return v, nil, fmt.Errorf("configuration needs a pointer to a struct, not a %T", dst)
	}
	s, err := compile(v.Type().Elem())
	return v.Elem(), s, err
}

type compiler struct {
	// structs holds the types seen, so that recursive ones end.
	structs map[reflect.Type]*structSpec
}

func (c *compiler) spec(t reflect.Type, r rules) (*spec, error) {
	s := &spec{typ: t, rules: r}
	var known bool
	if s.shape, known = shapes[t]; !known {
		if s.shape, known = kinds[t.Kind()]; reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
			s.shape, known = shapeText, true
		}
	}
	var err error
	switch {
	case !known:
		return nil, fmt.Errorf("%s has no form in YAML", t)
	case s.shape == shapeMap && t.Key().Kind() != reflect.String:
		return nil, fmt.Errorf("%s: keys of a map are strings", t)
	case s.shape == shapePointer, s.shape == shapeList, s.shape == shapeMap:
		s.elem, err = c.spec(t.Elem(), r)
	case s.shape == shapeStruct:
		s.fields, err = c.structure(t)
	}
	return s, err
}

func (c *compiler) structure(t reflect.Type) (*structSpec, error) {
	if s := c.structs[t]; s != nil {
		return s, nil
	}
	s := &structSpec{}
	c.structs[t] = s
	for i := range t.NumField() {
		sf := t.Field(i)
		if sf.Name == "_" {
			s.later = append(s.later, words(sf.Tag.Get("later"))...)
			continue
		}
		key := sf.Tag.Get("yaml")
		if key == "" || key == "-" {
			continue
		}
		f, err := c.field(i, key, sf)
		if err == nil && s.field(key) != nil {
			err = errors.New("the key is taken")
		}
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", t, sf.Name, err)
		}
		s.fields = append(s.fields, f)
		if sf.Tag.Get("shorthand") == "true" {
			s.shorthand = f
		}
	}
	return s, nil
}

func (c *compiler) field(index int, key string, sf reflect.StructField) (*field, error) {
	if !sf.IsExported() {
		return nil, errors.New("an unexported field cannot be decoded")
	}
	tag := sf.Tag
	f := &field{index: index, key: key, doc: tag.Get("doc"), example: tag.Get("example"), required: tag.Get("required") == "true"}
	r := rules{enum: words(tag.Get("enum")), later: words(tag.Get("later")), min: tag.Get("min"), max: tag.Get("max"), nonEmpty: f.required}
	if p := tag.Get("pattern"); p != "" {
		re, err := regexp.Compile(`^(?:` + p + `)$`)
		if err != nil {
			return nil, err
		}
		r.pattern = re
	}
	def, hasDefault := tag.Lookup("default")
	if kind := sf.Type.Kind(); kind != reflect.Slice && kind != reflect.Map {
		r.emptyIsAbsent = !f.required && def == ""
	}
	var err error
	if f.spec, err = c.spec(sf.Type, r); err != nil {
		return nil, err
	}
	if hasDefault {
		f.def = &def
		if err := f.checkDefault(); err != nil {
			return nil, err
		}
	}
	return f, f.checkBounds()
}

// checkBounds reports a min or max that the type cannot be compared with.
func (f *field) checkBounds() error {
	s := f.spec
	for s.elem != nil {
		s = s.elem
	}
	for _, bound := range []string{s.min, s.max} {
		if bound == "" {
			continue
		}
		if _, err := s.number(bound); err != nil {
			return fmt.Errorf("bound %q: %w", bound, err)
		}
	}
	return nil
}

func words(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Fields(strings.ReplaceAll(list, ",", " "))
}
