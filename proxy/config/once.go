package config

import (
	"reflect"
	"sync"
)

// memo is what was made of one content of a file. It may be used concurrently.
type memo struct {
	mu      sync.Mutex
	results map[resultKey]any // *result of the key's type
}

// resultKey is a type, and the contents that a value of it was made of.
type resultKey struct {
	typ  reflect.Type
	made [3]*memo
}

type result[T any] struct {
	once  sync.Once
	value T
	err   error
}

// ParseOnce returns what parse makes of the contents of up to three files. What
// Load or NewFile has read remembers it: all that name the same files and want
// the same T share one value, or one error. So validation and the generation that
// is built afterwards parse a file once, however many sections name it. T is
// immutable, and made of files by one function in the program. Of a File that was
// made in another way nothing is remembered.
//
// ParseOnce may be called concurrently, and by parse for another T.
func ParseOnce[T any](parse func() (T, error), files ...File) (T, error) {
	key := resultKey{typ: reflect.TypeFor[T]()}
	var keeper *memo
	for i, f := range files {
		if f.IsZero() {
			continue
		}
		if f.memo == nil {
			return parse()
		}
		key.made[i], keeper = f.memo, f.memo
	}
	if keeper == nil {
		return parse()
	}
	r := resultOf[T](keeper, key)
	r.once.Do(func() { r.value, r.err = parse() })
	return r.value, r.err
}

func resultOf[T any](m *memo, key resultKey) *result[T] {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r, ok := m.results[key].(*result[T]); ok {
		return r
	}
	if m.results == nil {
		m.results = map[resultKey]any{}
	}
	r := new(result[T])
	m.results[key] = r
	return r
}
