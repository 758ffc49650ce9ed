package config

import (
	"bytes"
	"reflect"
)

// A Comparer compares values that configure something. It remembers what it has
// learnt about their types, for the next comparison. The zero value is ready to
// use, by one goroutine at a time.
type Comparer struct {
	types map[reflect.Type]comparison
}

// comparison is how values of a type are compared.
type comparison struct {
	text   bool  // by MarshalText
	fields []int // of a struct, those that count
}

// Equal reports whether a and b, which have one type, configure the same: it is
// true exactly when their Fingerprints are equal, and takes a fraction of the time.
// It panics where Fingerprint does.
func (c *Comparer) Equal(a, b any) bool { return c.equal(pointee(a), pointee(b)) }

func (c *Comparer) equal(a, b reflect.Value) bool {
	if !a.IsValid() || !b.IsValid() || a.Type() != b.Type() {
		return a.IsValid() == b.IsValid() && !a.IsValid()
	}
	switch a.Type() {
	case typeFile:
		return equalFiles(a.Interface().(File), b.Interface().(File))
	case typeSecret:
		return equalFiles(a.Interface().(Secret).File, b.Interface().(Secret).File)
	case typeValue:
		return a.Interface().(Value).Text == b.Interface().(Value).Text
	}
	how := c.comparison(a.Type())
	if how.text {
		if x, ok := marshalText(a); ok {
			y, ok := marshalText(b)
			return ok && bytes.Equal(x, y)
		}
	}
	switch a.Kind() {
	case reflect.Pointer, reflect.Interface:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}
		return c.equal(a.Elem(), b.Elem())
	case reflect.Slice, reflect.Array:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !c.equal(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Map:
		if a.Len() != b.Len() {
			return false
		}
		for _, key := range a.MapKeys() {
			if other := b.MapIndex(key); !other.IsValid() || !c.equal(a.MapIndex(key), other) {
				return false
			}
		}
		return true
	case reflect.Struct:
		for _, i := range how.fields {
			if !c.equal(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Chan, reflect.Func, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128:
		panic("config: a " + a.Type().String() + " is no configuration")
	}
	return a.Equal(b)
}

func (c *Comparer) comparison(t reflect.Type) comparison {
	how, ok := c.types[t]
	if ok {
		return how
	}
	how.text = marshalsText(t)
	if t.Kind() == reflect.Struct {
		for i := range t.NumField() {
			if counts(t.Field(i)) {
				how.fields = append(how.fields, i)
			}
		}
	}
	if c.types == nil {
		c.types = map[reflect.Type]comparison{}
	}
	c.types[t] = how
	return how
}

func equalFiles(a, b File) bool {
	return a.IsZero() == b.IsZero() && bytes.Equal(a.Data, b.Data)
}
