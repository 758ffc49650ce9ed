package config

import (
	"slices"
	"strconv"
	"strings"
)

type kind int

const (
	scalar kind = iota
	list
	mapping
)

func (k kind) String() string {
	return [...]string{"a single value", "a list", "a mapping"}[k]
}

// node is one value of the file, with aliases expanded. It keeps what Scope
// needs to know once decoding is over.
type node struct {
	kind         kind
	line, column int

	// text is a scalar as it stands in the file, before substitution.
	text string
	// plain: without quotes, so that a number is a number.
	plain bool
	// null: nothing at all, ~ or null.
	null bool
	// flow: inside [] or {}, where ${NAME} can only be written in quotes.
	flow bool

	keys  []key          // mapping
	index map[string]int // of keys and items, by key; nil where keys are few
	items []*node        // list, and the values of a mapping

	// failed: an error was reported for this value; more would be noise.
	failed bool
	// excused are absent keys that must be meant by an unknown one, which was
	// reported.
	excused map[string]bool
	// shorthand is the key that a scalar in place of a mapping stands for.
	shorthand string
}

// key is one key of a mapping.
type key struct {
	text         string
	line, column int
}

// fewKeys is how many keys are looked through one after the other.
const fewKeys = 8

// find returns where a key of a mapping stands.
func (n *node) find(name string) (i int, ok bool) {
	if n.index != nil {
		i, ok = n.index[name]
		return i, ok
	}
	i = slices.IndexFunc(n.keys, func(k key) bool { return k.text == name })
	return i, i >= 0
}

// get returns the value of a key of a mapping, or nil.
func (n *node) get(name string) *node {
	if i, ok := n.find(name); ok {
		return n.items[i]
	}
	return nil
}

func (n *node) excuse(name string) {
	if n.excused == nil {
		n.excused = map[string]bool{}
	}
	n.excused[name] = true
}

// place is the outcome of a walk down the tree.
type place struct {
	*node
	// exact: the path's own node, not merely the deepest above it.
	exact bool
	// reported: an error stands already for this value, or for one that holds it.
	reported bool
	// ended: the path goes on below the node, where nothing is.
	ended bool
}

// here is the place of the node itself.
func (n *node) here() place { return place{node: n, exact: true, reported: n.failed} }

// walk goes down as far as the path exists.
func (p place) walk(path string) place {
	for path != "" && !p.ended {
		s, rest, ok := cutStep(path)
		if !ok {
			break
		}
		p, path = p.down(s), rest
	}
	return p
}

// down goes one step down.
func (p place) down(s step) place {
	if p.ended {
		return p
	}
	next := p.node.step(s)
	if next == nil {
		p.exact = p.node.kind == scalar && p.node.shorthand != "" && p.node.shorthand == s.key
		p.reported = p.reported || p.node.excused[s.key]
		p.ended = true
		return p
	}
	p.node = next
	p.reported = p.reported || next.failed
	return p
}

func (n *node) step(s step) *node {
	switch {
	case n.kind == mapping && s.index < 0:
		return n.get(s.key)
	case n.kind == list && s.index >= 0 && s.index < len(n.items):
		return n.items[s.index]
	}
	return nil
}

// step is one part of a path: a key, or the index of a list.
type step struct {
	key   string
	index int // -1 for a key
}

// longestIndex is the number of digits of an index: any more exceed every list.
const longestIndex = 9

// cutStep takes the first step from a path such as clusters[1].headers["a.b"]. It
// reports false for what is no path.
func cutStep(path string) (s step, rest string, ok bool) {
	switch {
	case strings.HasPrefix(path, `["`):
		quoted, err := strconv.QuotedPrefix(path[1:])
		if err != nil {
			return step{}, "", false
		}
		rest, ok = strings.CutPrefix(path[1+len(quoted):], "]")
		s.index = -1
		s.key, err = strconv.Unquote(quoted)
		return s, rest, ok && err == nil
	case path[0] == '[':
		digits, rest, ok := strings.Cut(path[1:], "]")
		if n := len(digits); !ok || n == 0 || n > longestIndex || strings.Trim(digits, "0123456789") != "" {
			return step{}, "", false
		}
		s.index, _ = strconv.Atoi(digits)
		return s, rest, true
	}
	path = strings.TrimPrefix(path, ".")
	end := strings.IndexAny(path, ".[")
	if end < 0 {
		end = len(path)
	}
	return step{key: path[:end], index: -1}, path[end:], end > 0
}

// atKey is the path of a key below path.
func atKey(path, key string) string {
	if key == "" || strings.ContainsAny(key, ".[]\" \t\r\n:") {
		return path + "[" + strconv.Quote(key) + "]"
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// atIndex is the path of an element of the list at path.
func atIndex(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// atField is the path of a field, written relative to path.
func atField(path, field string) string {
	if path == "" || field == "" || strings.HasPrefix(field, "[") {
		return path + field
	}
	return path + "." + field
}
