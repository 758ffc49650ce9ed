package config

import (
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
	index map[string]int // of keys and items, by key
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

// get returns the value of a key of a mapping, or nil.
func (n *node) get(name string) *node {
	if i, ok := n.index[name]; ok {
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
}

// walk goes down from n as far as the path exists.
func (n *node) walk(path string) place {
	p := place{node: n, exact: true, reported: n.failed}
	for _, step := range steps(path) {
		next := p.node.step(step)
		if next == nil {
			p.exact = p.node.kind == scalar && p.node.shorthand != "" && p.node.shorthand == step.key
			p.reported = p.reported || p.node.excused[step.key]
			return p
		}
		p.node = next
		p.reported = p.reported || next.failed
	}
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

// steps takes a path apart: clusters[1].headers["a.b"]. What does not parse
// ends it.
func steps(path string) []step {
	all := make([]step, 0, 8)
	for path != "" {
		s, rest, ok := cutStep(path)
		if !ok {
			break
		}
		all, path = append(all, s), rest
	}
	return all
}

// longestIndex is the number of digits of an index: any more exceed every list.
const longestIndex = 9

// cutStep takes the first step from a path.
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
