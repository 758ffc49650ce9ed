package config

import (
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
)

// Fingerprint sums the content of v: two values have the same sum exactly when
// they configure the same. A File, Secret or Value counts by its content, not
// by where it stands; an empty list or map counts as none; unexported fields
// and those tagged yaml:"-" do not count. A pointer at the top counts as what
// it points to. It panics on functions, channels and the like: those are no
// configuration.
func Fingerprint(v any) [32]byte {
	var h canon
	h.value(pointee(v))
	return sha256.Sum256(h.content)
}

// pointee is v, or what it points to.
func pointee(v any) reflect.Value {
	rv := reflect.ValueOf(v)
	for rv.Kind() == reflect.Pointer && !rv.IsNil() {
		rv = rv.Elem()
	}
	return rv
}

// canon writes values so that no two different ones give the same bytes: each
// begins with its kind, and whatever varies in length with its length.
type canon struct{ content []byte }

func (h *canon) number(kind byte, n uint64) {
	h.content = binary.BigEndian.AppendUint64(append(h.content, kind), n)
}

func (h *canon) bytes(kind byte, b []byte) {
	h.number(kind, uint64(len(b)))
	h.content = append(h.content, b...)
}

func (h *canon) value(v reflect.Value) {
	if !v.IsValid() {
		h.number('0', 0)
		return
	}
	switch v.Type() {
	case typeFile, typeSecret:
		f, ok := v.Interface().(File)
		if !ok {
			f = v.Interface().(Secret).File
		}
		if f.IsZero() {
			h.number('0', 0)
		} else {
			h.bytes('f', f.Data)
		}
		return
	case typeValue:
		h.bytes('s', []byte(v.Interface().(Value).Text))
		return
	}
	if text, ok := marshalText(v); ok {
		h.bytes('t', text)
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		if v.Bool() {
			h.number('b', 1)
		} else {
			h.number('b', 0)
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		h.number('i', uint64(v.Int()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		h.number('u', v.Uint())
	case reflect.Float32, reflect.Float64:
		h.number('d', math.Float64bits(v.Float()))
	case reflect.String:
		h.bytes('s', []byte(v.String()))
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			h.number('0', 0)
			return
		}
		h.number('p', 1)
		h.value(v.Elem())
	case reflect.Slice, reflect.Array:
		h.number('l', uint64(v.Len()))
		for i := range v.Len() {
			h.value(v.Index(i))
		}
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int {
			return strings.Compare(fmt.Sprint(a.Interface()), fmt.Sprint(b.Interface()))
		})
		h.number('m', uint64(len(keys)))
		for _, k := range keys {
			h.value(k)
			h.value(v.MapIndex(k))
		}
	case reflect.Struct:
		h.structure(v)
	default:
		panic(fmt.Sprintf("config: a %s is no configuration", v.Type()))
	}
}

func (h *canon) structure(v reflect.Value) {
	t := v.Type()
	h.number('{', 0)
	for i := range t.NumField() {
		if f := t.Field(i); counts(f) {
			h.bytes('k', []byte(f.Name))
			h.value(v.Field(i))
		}
	}
	h.number('}', 0)
}

// counts reports whether a field of a struct is configuration.
func counts(f reflect.StructField) bool { return f.IsExported() && f.Tag.Get("yaml") != "-" }

// marshalText is the content of types that keep it in unexported fields, such
// as netip.Prefix.
func marshalText(v reflect.Value) ([]byte, bool) {
	if !marshalsText(v.Type()) {
		return nil, false
	}
	p := reflect.New(v.Type())
	p.Elem().Set(v)
	text, err := p.Interface().(encoding.TextMarshaler).MarshalText()
	return text, err == nil
}

func marshalsText(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextMarshaler]()) && t.Kind() != reflect.Pointer && t.Kind() != reflect.Interface
}
