package jsonrpc

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// keySet finds duplicates. Objects are mostly small, so it begins as a list;
// it becomes a map before an attacker's large object takes quadratic time.
type keySet struct {
	few  []string
	many map[string]struct{}
}

// add reports whether the key is new.
func (s *keySet) add(key string) bool {
	if s.many != nil {
		if _, found := s.many[key]; found {
			return false
		}
		s.many[key] = struct{}{}
		return true
	}
	if slices.Contains(s.few, key) {
		return false
	}
	if s.few = append(s.few, key); len(s.few) > 16 {
		s.many = make(map[string]struct{}, 4*len(s.few))
		for _, k := range s.few {
			s.many[k] = struct{}{}
		}
	}
	return true
}

// fold maps keys that differ in case only to one key, in lower case for
// letters that ASCII has: strings that strings.EqualFold finds equal have one
// fold.
func fold(key string) string {
	for i := range len(key) {
		if c := key[i]; c >= 0x80 || 'A' <= c && c <= 'Z' {
			return strings.Map(foldRune, key)
		}
	}
	return key
}

// foldRune returns the smallest rune that folds with r, in lower case.
func foldRune(r rune) rune {
	least := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		least = min(least, next)
	}
	if 'A' <= least && least <= 'Z' {
		least += 'a' - 'A'
	}
	return least
}

// quoteShort is a key for an error message: quoted, and not longer than a
// person reads.
func quoteShort(key string) string {
	const most = 40
	if len(key) > most {
		key = strings.ToValidUTF8(key[:most], "") + "…"
	}
	return strconv.Quote(key)
}
