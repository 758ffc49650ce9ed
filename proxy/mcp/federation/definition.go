package federation

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// rule says what values the specification's schema allows in one place.
type rule struct {
	kinds []jsonrpc.ValueKind
	// check says what is wrong with a string or a number of these kinds, or "";
	// nil: nothing.
	check func(jsonrpc.Value) string
	// members are those of an object that the specification knows; others may
	// be anything. Each of required must be there.
	members  map[string]*rule
	required []string
	// each holds for every element of an array, or every member of an object.
	each *rule
}

// definitionOf returns what the specification demands of an item of a list;
// nil: nothing. modern chooses between the revisions without sessions and those
// with. Clients refuse a whole list for one item of another form.
func definitionOf(method string, modern bool) *rule {
	switch method {
	case spec.ToolsList:
		if modern {
			return modernToolRule
		}
		return sessionToolRule
	case spec.PromptsList:
		return promptRule
	case spec.ResourcesList:
		return resourceRule
	case spec.ResourceTemplatesList:
		return templateRule
	}
	return nil
}

// The rules are those of schema.json of the revisions 2025-11-25 and
// 2026-07-28, and for the schemas of tools in the latter those of JSON Schema
// 2020-12, which it refers to. Formats of strings are left to the clients.
var (
	textRule  = &rule{kinds: []jsonrpc.ValueKind{jsonrpc.String}}
	boolRule  = &rule{kinds: []jsonrpc.ValueKind{jsonrpc.Bool}}
	mapRule   = &rule{kinds: []jsonrpc.ValueKind{jsonrpc.Object}}
	textsRule = arrayOf(textRule)
	iconsRule = arrayOf(objectOf([]string{"src"}, map[string]*rule{
		"src": textRule, "mimeType": textRule, "sizes": textsRule, "theme": oneOf("dark", "light"),
	}))
	annotationsRule = objectOf(nil, map[string]*rule{
		"audience": arrayOf(oneOf("user", "assistant")), "lastModified": textRule,
		"priority": {kinds: []jsonrpc.ValueKind{jsonrpc.Number}, check: share},
	})

	sessionToolRule = toolRule(sessionSchemaRule, sessionSchemaRule)
	modernToolRule  = toolRule(inputSchemaRule, outputSchemaRule)

	sessionSchemaRule = objectOf([]string{"type"}, map[string]*rule{
		"$schema": textRule, "type": oneOf("object"), "required": textsRule,
		"properties": {kinds: mapRule.kinds, each: mapRule},
	})
	inputSchemaRule = objectOf([]string{"type"}, map[string]*rule{
		"$schema": textRule, "type": oneOf("object"), "required": textsRule, "properties": schemasRule,
	})
	outputSchemaRule = objectOf(nil, map[string]*rule{"$schema": textRule, "required": textsRule, "properties": schemasRule})
	schemasRule      = &rule{kinds: mapRule.kinds, each: &rule{kinds: []jsonrpc.ValueKind{jsonrpc.Object, jsonrpc.Bool}}}

	promptRule = objectOf([]string{"name"}, map[string]*rule{
		"name": textRule, "title": textRule, "description": textRule, "icons": iconsRule, "_meta": mapRule,
		"arguments": arrayOf(objectOf([]string{"name"}, map[string]*rule{
			"name": textRule, "title": textRule, "description": textRule, "required": boolRule,
		})),
	})
	resourceRule = objectOf([]string{"uri", "name"}, map[string]*rule{
		"uri": textRule, "name": textRule, "title": textRule, "description": textRule, "mimeType": textRule,
		"size":        {kinds: []jsonrpc.ValueKind{jsonrpc.Number}, check: integer},
		"annotations": annotationsRule, "icons": iconsRule, "_meta": mapRule,
	})
	templateRule = objectOf([]string{"uriTemplate", "name"}, map[string]*rule{
		"uriTemplate": textRule, "name": textRule, "title": textRule, "description": textRule, "mimeType": textRule,
		"annotations": annotationsRule, "icons": iconsRule, "_meta": mapRule,
	})
)

func toolRule(input, output *rule) *rule {
	return objectOf([]string{"name", "inputSchema"}, map[string]*rule{
		"name": textRule, "title": textRule, "description": textRule, "inputSchema": input, "outputSchema": output,
		"icons": iconsRule, "_meta": mapRule,
		"execution": objectOf(nil, map[string]*rule{"taskSupport": oneOf("forbidden", "optional", "required")}),
		"annotations": objectOf(nil, map[string]*rule{
			"title": textRule, "readOnlyHint": boolRule, "destructiveHint": boolRule, "idempotentHint": boolRule, "openWorldHint": boolRule,
		}),
	})
}

func objectOf(required []string, members map[string]*rule) *rule {
	return &rule{kinds: []jsonrpc.ValueKind{jsonrpc.Object}, required: required, members: members}
}

func arrayOf(each *rule) *rule {
	return &rule{kinds: []jsonrpc.ValueKind{jsonrpc.Array}, each: each}
}

func oneOf(values ...string) *rule {
	return &rule{kinds: []jsonrpc.ValueKind{jsonrpc.String}, check: func(v jsonrpc.Value) string {
		if slices.Contains(values, v.String()) {
			return ""
		}
		return "is not " + strings.Join(values, " or ")
	}}
}

func integer(v jsonrpc.Value) string {
	if n, err := strconv.ParseFloat(string(v.Raw()), 64); err != nil || n != math.Trunc(n) {
		return "is no integer"
	}
	return ""
}

func share(v jsonrpc.Value) string {
	if n, _ := strconv.ParseFloat(string(v.Raw()), 64); n < 0 || n > 1 { // one that is too large is infinite
		return "is not between 0 and 1"
	}
	return ""
}

// mistake says which part of v the rule refuses, and why; why is "" where it
// allows v.
func (r *rule) mistake(v jsonrpc.Value) (path, why string) {
	if !slices.Contains(r.kinds, v.Kind()) {
		var names []string
		for _, kind := range r.kinds {
			names = append(names, kindNames[kind])
		}
		return "", fmt.Sprintf("is %s, where the specification has %s", kindNames[v.Kind()], strings.Join(names, " or "))
	}
	if r.check != nil {
		return "", r.check(v)
	}
	return r.membersMistake(v)
}

func (r *rule) membersMistake(v jsonrpc.Value) (path, why string) {
	var there uint // a bit for each of r.required
	i := 0
	for key, member := range v.Each {
		if n := slices.Index(r.required, key); n >= 0 {
			there |= 1 << n
		}
		of := r.each
		if known := r.members[key]; known != nil {
			of = known
		}
		if of != nil {
			if path, why := of.mistake(member); why != "" {
				if v.Kind() == jsonrpc.Array {
					return fmt.Sprintf("[%d]%s", i, dotted(path)), why
				}
				return shorten(key) + dotted(path), why
			}
		}
		i++
	}
	for n, key := range r.required {
		if there&(1<<n) == 0 {
			return key, "is missing"
		}
	}
	return "", ""
}

// dotted is path as it follows that of the object around it.
func dotted(path string) string {
	if path == "" || path[0] == '[' {
		return path
	}
	return "." + path
}

// shortName is how much of a server's own word is shown to operators.
const shortName = 128

func shorten(s string) string {
	if len(s) > shortName {
		return strings.ToValidUTF8(s[:shortName], "") + "…"
	}
	return s
}

var kindNames = map[jsonrpc.ValueKind]string{
	jsonrpc.Null:   "null",
	jsonrpc.Bool:   "a boolean",
	jsonrpc.Number: "a number",
	jsonrpc.String: "a string",
	jsonrpc.Array:  "an array",
	jsonrpc.Object: "an object",
}
