package docs_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/proxy"
)

var update = flag.Bool("update", false, "write the tables that are made from the schema into CONFIGURATION.md")

// The tables of the page are made from the schema; with -update this test writes
// them. What stands before them is written by hand.
func TestTheConfigurationPageHasEverySetting(t *testing.T) {
	const page, mark = "CONFIGURATION.md", "<!-- From here on: made from the schema by `go test ./docs -update`. -->\n"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	hand, made, ok := strings.Cut(string(text), mark)
	if !ok {
		t.Fatalf("%s has no line %s", page, mark)
	}
	want := "\n" + tables(t)
	if made == want {
		return
	}
	if *update {
		if err := os.WriteFile(page, []byte(hand+mark+want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s is not what the schema says; `go test ./docs -update` mends it. The first lines that differ:\n%s", page, firstDifference(made, want))
}

func firstDifference(a, b string) string {
	left, right := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(left), len(right)) {
		if left[i] != right[i] {
			return "page   " + left[i] + "\nschema " + right[i]
		}
	}
	return "one of the two is longer"
}

// property is what the page shows of a schema.
type property struct {
	Description string               `json:"description"`
	Default     json.RawMessage      `json:"default"`
	Examples    []json.RawMessage    `json:"examples"`
	Enum        []string             `json:"enum"`
	AnyOf       []property           `json:"anyOf"`
	OneOf       []property           `json:"oneOf"`
	Minimum     *float64             `json:"minimum"`
	Maximum     *float64             `json:"maximum"`
	Required    []string             `json:"required"`
	Properties  map[string]*property `json:"properties"`
	Items       *property            `json:"items"`
	// Others is false where no other key is allowed, else the schema of values.
	Others json.RawMessage `json:"additionalProperties"`
}

// sections are those of the file, in the order of config.example.yaml.
var sections = []string{"log", "admin", "reload", "drain", "shutdown", "memory", "state_key_files", "acme", "listeners", "routes", "clusters"}

func tables(t *testing.T) string {
	t.Helper()
	schema, err := proxy.Schema()
	if err != nil {
		t.Fatal(err)
	}
	var root property
	if err := json.Unmarshal(schema, &root); err != nil {
		t.Fatal(err)
	}
	if have := slices.Sorted(maps.Keys(root.Properties)); !slices.Equal(have, slices.Sorted(slices.Values(sections))) {
		t.Fatalf("the file has the sections %q", have)
	}
	var b strings.Builder
	for i, name := range sections {
		if i > 0 {
			b.WriteString("\n")
		}
		section := root.Properties[name]
		fmt.Fprintf(&b, "## %s\n\n%s\n", name, about(section, slices.Contains(root.Required, name)))
		if rows := rowsOf(section, ""); len(rows) > 0 {
			b.WriteString("\n| key | default | meaning |\n| --- | --- | --- |\n" + strings.Join(rows, ""))
		}
	}
	return b.String()
}

// rowsOf are the rows of what lies within p, a list of objects or an object.
func rowsOf(p *property, path string) (rows []string) {
	if p.Items != nil {
		return rowsOf(p.Items, path)
	}
	keys := slices.Sorted(maps.Keys(p.Properties))
	slices.SortStableFunc(keys, func(a, b string) int { // what names a thing comes first
		return strings.Compare(map[bool]string{true: "0", false: "1"}[a == "name"], map[bool]string{true: "0", false: "1"}[b == "name"])
	})
	for _, key := range keys {
		one, name := p.Properties[key], path+key
		value := "–"
		if len(one.Default) > 0 {
			value = shown(one.Default)
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |\n", name, value, about(one, slices.Contains(p.Required, key))))
		if one.Items != nil {
			name += "[]"
		}
		rows = append(rows, rowsOf(one, name+".")...)
		for _, form := range one.OneOf {
			rows = append(rows, rowsOf(&form, name+".")...)
		}
		if one.Items != nil {
			for _, form := range append(one.Items.OneOf, one.Items.AnyOf...) {
				rows = append(rows, rowsOf(&form, name+".")...)
			}
		}
	}
	return rows
}

// about is the description of a setting, with its bounds and the values that it
// can have.
func about(p *property, required bool) string {
	parts := []string{p.Description}
	if required {
		parts = append(parts, "Required.")
	}
	values := p.Enum
	for _, form := range p.AnyOf {
		values = append(values, form.Enum...)
	}
	if p.Items != nil {
		for _, form := range p.Items.AnyOf {
			values = append(values, form.Enum...)
		}
	}
	values = slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
	if len(values) > 0 {
		parts = append(parts, "Values: `"+strings.Join(values, "`, `")+"`.")
	}
	// In text forms, such as durations, the schema has the bounds of the number 0
	// alone; the description has the others.
	numbers := p.Minimum != nil && !strings.Contains(p.Description, "At least")
	if numbers && *p.Minimum > 0 {
		parts = append(parts, fmt.Sprintf("At least %v.", *p.Minimum))
	}
	if numbers && p.Maximum != nil && *p.Maximum > 0 {
		parts = append(parts, fmt.Sprintf("At most %.0f.", *p.Maximum))
	}
	if len(p.Examples) > 0 && len(values) == 0 {
		parts = append(parts, "Example: "+shown(p.Examples[0])+".")
	}
	return strings.ReplaceAll(strings.Join(parts, " "), "|", `\|`)
}

// shown is a value as it can be written into the file, in one line.
func shown(value json.RawMessage) string {
	var parts []string
	for line := range strings.Lines(string(value)) {
		parts = append(parts, strings.TrimSpace(line))
	}
	text := strings.NewReplacer(`"`, "", "[ ", "[", " ]", "]", "{ ", "{", " }", "}").Replace(strings.Join(parts, " "))
	if text == "" {
		return "empty"
	}
	return "`" + text + "`"
}
