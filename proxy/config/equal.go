package config

import (
	"bytes"
	"reflect"
)

// A Comparer compares values that configure something. It remembers what it has
// learnt about their types, for the next comparison. The zero value is ready to
// use, by one goroutine at a time.
type Comparer struct {
	types map[reflect.Type]*comparison
}

// comparison is how values of a type are compared.
type comparison struct {
	kind   reflect.Kind
	whole  func(a, b any) bool // of a type that has its own way
	text   bool                // by MarshalText
	elem   *comparison         // of what a pointer, list or map holds
	fields []fieldComparison   // of a struct, those that count
}

type fieldComparison struct {
	index int
	how   *comparison
}

// Equal reports whether a and b, which have one type, configure the same: it is
// true exactly when their Fingerprints are equal, and takes a fraction of the time.
// It panics where Fingerprint does.
func (c *Comparer) Equal(a, b any) bool { return c.equalAny(pointee(a), pointee(b)) }

// equalAny is equal for values whose type is known only now.
func (c *Comparer) equalAny(a, b reflect.Value) bool {
	if !a.IsValid() || !b.IsValid() || a.Type() != b.Type() {
		return a.IsValid() == b.IsValid() && !a.IsValid()
	}
	return c.equal(a, b, c.comparison(a.Type()))
}

func (c *Comparer) equal(a, b reflect.Value, how *comparison) bool {
	if how.whole != nil {
		return how.whole(a.Interface(), b.Interface())
	}
	if how.text {
		if x, ok := marshalText(a); ok {
			y, ok := marshalText(b)
			return ok && bytes.Equal(x, y)
		}
	}
	switch how.kind {
	case reflect.Pointer:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}
		return c.equal(a.Elem(), b.Elem(), how.elem)
	case reflect.Interface:
		return c.equalAny(a.Elem(), b.Elem())
	case reflect.Slice, reflect.Array:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !c.equal(a.Index(i), b.Index(i), how.elem) {
				return false
			}
		}
		return true
	case reflect.Map:
		if a.Len() != b.Len() {
			return false
		}
		for _, key := range a.MapKeys() {
			if other := b.MapIndex(key); !other.IsValid() || !c.equal(a.MapIndex(key), other, how.elem) {
				return false
			}
		}
		return true
	case reflect.Struct:
		for _, f := range how.fields {
			if !c.equal(a.Field(f.index), b.Field(f.index), f.how) {
				return false
			}
		}
		return true
	case reflect.Chan, reflect.Func, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128:
		panic("config: a " + a.Type().String() + " is no configuration")
	}
	return a.Equal(b)
}

// comparison returns how values of a type are compared. A type may hold itself.
func (c *Comparer) comparison(t reflect.Type) *comparison {
	if how := c.types[t]; how != nil {
		return how
	}
	if c.types == nil {
		c.types = map[reflect.Type]*comparison{}
	}
	how := &comparison{kind: t.Kind(), text: marshalsText(t)}
	c.types[t] = how
	switch t {
	case typeFile:
		how.whole = func(a, b any) bool { return equalFiles(a.(File), b.(File)) }
		return how
	case typeSecret:
		how.whole = func(a, b any) bool { return equalFiles(a.(Secret).File, b.(Secret).File) }
		return how
	case typeValue:
		how.whole = func(a, b any) bool { return a.(Value).Text == b.(Value).Text }
		return how
	}
	switch how.kind {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		how.elem = c.comparison(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if counts(t.Field(i)) {
				how.fields = append(how.fields, fieldComparison{i, c.comparison(t.Field(i).Type)})
			}
		}
	}
	return how
}

func equalFiles(a, b File) bool {
	return a.IsZero() == b.IsZero() && bytes.Equal(a.Data, b.Data)
}
