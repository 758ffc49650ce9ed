package config

import (
	"bytes"
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
// it points to. It panics on functions, channels and the like, and where MarshalText
// fails: those are no configuration.
func Fingerprint(v any) [32]byte {
	var c Comparer
	return sha256.Sum256(c.append(nil, v))
}

// A Comparer compares values that configure something. It remembers what it has
// learnt about their types, for the next comparison. The zero value is ready to
// use, by one goroutine at a time.
type Comparer struct {
	forms map[reflect.Type]*form
	a, b  []byte // of the last comparison, whose room the next one uses
}

// Equal reports whether a and b configure the same: it is true exactly when their
// Fingerprints are equal, and takes a fifth of their time or less. It panics where
// Fingerprint does.
func (c *Comparer) Equal(a, b any) bool {
	c.a, c.b = c.append(c.a[:0], a), c.append(c.b[:0], b)
	return bytes.Equal(c.a, c.b)
}

// append writes a value so that no two different ones of a type give the same bytes:
// each begins with its kind, and whatever varies in length with its length.
func (c *Comparer) append(to []byte, v any) []byte {
	rv := reflect.ValueOf(v)
	for rv.Kind() == reflect.Pointer && !rv.IsNil() {
		rv = rv.Elem()
	}
	if !rv.IsValid() {
		return number(to, '0', 0)
	}
	return c.value(to, rv, c.form(rv.Type()))
}

// form is how the values of a type are written.
type form struct {
	kind   reflect.Kind // of the type; Invalid where it is written as a whole
	elem   *form        // of what a pointer, list or map holds
	fields []fieldForm  // of a struct, those that count
}

type fieldForm struct {
	index int
	*form
}

// form returns the form of a type, which may hold itself.
func (c *Comparer) form(t reflect.Type) *form {
	if f := c.forms[t]; f != nil {
		return f
	}
	if c.forms == nil {
		c.forms = map[reflect.Type]*form{}
	}
	f := &form{kind: t.Kind()}
	c.forms[t] = f
	switch f.kind {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		f.elem = c.form(t.Elem())
	case reflect.Struct:
		if t == typeFile || reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
			f.kind = reflect.Invalid
			break
		}
		for i := range t.NumField() {
			if sf := t.Field(i); sf.IsExported() && sf.Tag.Get("yaml") != "-" {
				f.fields = append(f.fields, fieldForm{i, c.form(sf.Type)})
			}
		}
	}
	return f
}

func number(to []byte, kind byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64(append(to, kind), n)
}

func sized[T string | []byte](to []byte, kind byte, s T) []byte {
	return append(number(to, kind, uint64(len(s))), s...)
}

func (c *Comparer) value(to []byte, v reflect.Value, f *form) []byte {
	switch f.kind {
	case reflect.Invalid:
		return whole(to, v.Interface())
	case reflect.Bool:
		if v.Bool() {
			return number(to, 'b', 1)
		}
		return number(to, 'b', 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return number(to, 'i', uint64(v.Int()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return number(to, 'u', v.Uint())
	case reflect.Float32, reflect.Float64:
		return number(to, 'd', math.Float64bits(v.Float()))
	case reflect.String:
		return sized(to, 's', v.String())
	case reflect.Pointer:
		if v.IsNil() {
			return number(to, '0', 0)
		}
		return c.value(number(to, 'p', 1), v.Elem(), f.elem)
	case reflect.Interface:
		if v.IsNil() {
			return number(to, '0', 0)
		}
		t := v.Elem().Type()
		return c.value(sized(to, 'p', t.String()), v.Elem(), c.form(t))
	case reflect.Slice, reflect.Array:
		to = number(to, 'l', uint64(v.Len()))
		for i := range v.Len() {
			to = c.value(to, v.Index(i), f.elem)
		}
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int {
			return strings.Compare(fmt.Sprint(a.Interface()), fmt.Sprint(b.Interface()))
		})
		to = number(to, 'm', uint64(len(keys)))
		for _, k := range keys {
			to = c.value(c.value(to, k, c.form(k.Type())), v.MapIndex(k), f.elem)
		}
	case reflect.Struct:
		to = number(to, '{', uint64(len(f.fields)))
		for _, field := range f.fields {
			to = c.value(to, v.Field(field.index), field.form)
		}
	default:
		panic(fmt.Sprintf("config: a %s is no configuration", v.Type()))
	}
	return to
}

// whole writes what is not written field by field: types such as netip.Prefix keep
// their content in unexported fields, and have it as text.
func whole(to []byte, v any) []byte {
	switch v := v.(type) {
	case File:
		if v.IsZero() {
			return number(to, '0', 0)
		}
		return sized(to, 'f', v.Data)
	case Secret:
		return whole(to, v.File)
	case Value:
		return sized(to, 's', v.Text)
	case encoding.TextMarshaler:
		text, err := v.MarshalText()
		if err != nil {
			panic(fmt.Sprintf("config: a %T that has no text is no configuration: %v", v, err))
		}
		return sized(to, 't', text)
	}
	pointer := reflect.New(reflect.TypeOf(v))
	pointer.Elem().Set(reflect.ValueOf(v))
	return whole(to, pointer.Interface())
}
