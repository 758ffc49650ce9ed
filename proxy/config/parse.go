package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// parse turns the bytes of the file into the root of its tree. The returned
// errors are those of the text itself; with a nil node there is nothing to decode.
func parse(data []byte, report *reporter) *node {
	docs, err := documents(data)
	if err != nil {
		line, message := syntaxError(data, err)
		report.add(Error{Line: line, Message: message})
		return nil
	}
	if len(docs) > 1 {
		second := docs[1]
		report.add(Error{Line: second.Line, Column: second.Column, Message: "a second document starts here; the file is one document"})
	}
	if len(docs) == 0 {
		report.add(Error{Message: "the file is empty"})
		return nil
	}
	b := builder{report: report, within: map[*yaml.Node]bool{}}
	root := b.build(docs[0].Content[0], 0, false)
	switch {
	case b.exploded || root == nil:
		return nil
	case root.null:
		report.add(Error{Message: "the file is empty"})
		return nil
	}
	return root
}

// documents parses the text; it looks no further than the second document.
func documents(data []byte) (docs []*yaml.Node, err error) {
	// The parser has panicked on odd input before.
	defer func() {
		if p := recover(); p != nil {
			docs, err = nil, fmt.Errorf("yaml: %v", p)
		}
	}()
	d := yaml.NewDecoder(bytes.NewReader(data))
	for len(docs) < 2 {
		var doc yaml.Node
		if err := d.Decode(&doc); errors.Is(err, io.EOF) {
			return docs, nil
		} else if err != nil {
			return nil, err
		}
		if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
			return nil, errors.New("yaml: a document without content")
		}
		docs = append(docs, &doc)
	}
	return docs, nil
}

var parserLine = regexp.MustCompile(`^(?:line (\d+): )?((?s:.*))$`)

// syntaxError gives a parser error its line and a hint.
//
// The parser's own line is often where the surrounding block began, and often
// off by one. The line after the longest beginning of the file that is good
// YAML is where a person finds the mistake.
func syntaxError(data []byte, err error) (line int, message string) {
	m := parserLine.FindStringSubmatch(strings.TrimPrefix(err.Error(), "yaml: "))
	line, _ = strconv.Atoi(m[1])
	message = "not valid YAML: " + m[2]
	const affordable = 256 << 10
	if len(data) > affordable {
		return max(line, 1), message
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	bad := 1 + sort.Search(len(lines)-1, func(good int) bool {
		_, err := documents(bytes.Join(lines[:good+1], nil))
		return err != nil
	})
	text := strings.TrimSpace(string(lines[bad-1]))
	indent, _, _ := strings.Cut(string(lines[bad-1]), text)
	switch {
	case strings.Contains(indent, "\t"):
		message += "; indent with spaces, not tabs"
	case strings.Contains(text, "${") && strings.ContainsAny(text, "[{"):
		message += `; inside [] and {} write "${NAME}" in quotes`
	case strings.Contains(message, "alphabetic or numeric") || strings.Contains(message, "unknown anchor"):
		message += "; a value that begins with * or & needs quotes"
	}
	return bad, message
}

// Bounds of the tree once aliases are expanded.
const (
	maxDepth = 64
	maxNodes = 1 << 20
	// maxCopies bounds the nodes that aliases stand for, of which a few bytes make
	// any number.
	maxCopies = 1 << 17
)

// builder expands the parser's tree into ours.
type builder struct {
	report *reporter
	nodes  int
	// copies are those of nodes that an alias stands for; aliases is the number of
	// them around the node being built.
	copies, aliases int
	// within holds the anchored nodes being built, to find an alias inside its own
	// anchor.
	within map[*yaml.Node]bool
	// at is where the value that is being built stands.
	at trail
	// exploded: a bound was hit, and reported; nothing more is built.
	exploded bool
}

// build returns nil where an error was reported in place of a value.
func (b *builder) build(y *yaml.Node, depth int, flow bool) *node {
	if b.exploded {
		return nil
	}
	fail := func(format string, args ...any) *node {
		b.report.add(Error{Line: y.Line, Column: y.Column, Path: b.at.String(), Message: fmt.Sprintf(format, args...)})
		return &node{line: y.Line, column: y.Column, failed: true}
	}
	b.nodes++
	if b.aliases > 0 {
		b.copies++
	}
	b.exploded = true
	switch {
	case depth > maxDepth:
		return fail("nested deeper than %d levels", maxDepth)
	case b.copies > maxCopies:
		return fail("aliases stand for more than %d values", maxCopies)
	case b.nodes > maxNodes:
		return fail("more than %d values", maxNodes)
	}
	b.exploded = false
	if y.Kind == yaml.AliasNode {
		if b.within[y.Alias] {
			return fail("the alias *%s stands inside the value that it names", y.Value)
		}
		b.aliases++
		defer func() { b.aliases-- }()
		return b.build(y.Alias, depth, flow)
	}
	if y.Style&yaml.TaggedStyle != 0 && y.Tag != "!!str" {
		return fail("the tag %s is not supported; write the plain value", clip(y.Tag))
	}
	n := &node{line: y.Line, column: y.Column, flow: flow}
	inFlow := y.Style&yaml.FlowStyle != 0
	if y.Anchor != "" {
		b.within[y] = true
		defer delete(b.within, y)
	}
	switch y.Kind {
	case yaml.ScalarNode:
		n.text = y.Value
		n.plain = y.Style&(yaml.TaggedStyle|yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
		n.null = n.plain && y.Tag == "!!null"
	case yaml.SequenceNode:
		n.kind = list
		for i, item := range y.Content {
			b.at.index(i)
			n.items = append(n.items, b.build(item, depth+1, inFlow))
			b.at.up()
		}
	case yaml.MappingNode:
		n.kind = mapping
		b.pairs(n, y, depth, inFlow)
	default:
		return fail("not a value")
	}
	return n
}

func (b *builder) pairs(n *node, y *yaml.Node, depth int, flow bool) {
	if pairs := len(y.Content) / 2; pairs > fewKeys {
		n.index = make(map[string]int, pairs)
	}
	for i := 0; i+1 < len(y.Content) && !b.exploded; i += 2 {
		k, v := y.Content[i], y.Content[i+1]
		first, dup := n.find(k.Value)
		at := Error{Line: k.Line, Column: k.Column}
		switch {
		case k.Kind != yaml.ScalarNode || k.Style&yaml.TaggedStyle != 0:
			at.Path = b.at.String()
			at.Message = "a key is a plain word"
		case k.Tag == "!!merge":
			at.Path = atKey(b.at.String(), k.Value)
			at.Message = "merge keys (<<) are not supported; repeat the keys, or use an alias for the whole value"
		case dup:
			at.Path = atKey(b.at.String(), clip(k.Value))
			at.Message = fmt.Sprintf("duplicate key; it stands in line %d already", n.keys[first].line)
		default:
			if n.index != nil {
				n.index[k.Value] = len(n.keys)
			}
			n.keys = append(n.keys, key{k.Value, k.Line, k.Column})
			b.at.key(clip(k.Value))
			n.items = append(n.items, b.build(v, depth+1, flow))
			b.at.up()
			continue
		}
		b.report.add(at)
	}
}

// clip shortens what comes from the file before it is quoted in a message.
func clip(s string) string { return clipTo(s, 80) }

func clipTo(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
