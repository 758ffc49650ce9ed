package mcp

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

func TestDefinitionsThatTheSchemaRefuses(t *testing.T) {
	const object = `"inputSchema":{"type":"object"}`
	for _, c := range []struct {
		list, item      string
		session, modern string // what is wrong in each era
	}{
		{"tools/list", `{"name":"a",` + object + `}`, "", ""},
		{"tools/list", `{"name":"a","title":"A","description":"d","icons":[{"src":"x","sizes":["any"],"theme":"dark"}],"_meta":{"x":null},
			"inputSchema":{"$schema":"s","type":"object","properties":{"x":{"type":["string","null"]}},"required":["x"],"additionalProperties":false},
			"outputSchema":{"type":"object"},"annotations":{"title":"t","readOnlyHint":true,"unknown":null},"execution":{"taskSupport":"optional"},"unknown":null}`, "", ""},
		{"tools/list", `{"name":"a"}`, "inputSchema is missing", "same"},
		{"tools/list", `{"name":"a","inputSchema":null}`, "inputSchema is null, where the specification has an object", "same"},
		{"tools/list", `{"name":"a","inputSchema":{}}`, "inputSchema.type is missing", "same"},
		{"tools/list", `{"name":"a","inputSchema":{"type":"string"}}`, "inputSchema.type is not object", "same"},
		{"tools/list", `{"name":"a","inputSchema":{"type":["object"]}}`, "inputSchema.type is an array, where the specification has a string", "same"},
		{"tools/list", `{"name":"a","inputSchema":{"type":"object","required":null}}`, "inputSchema.required is null, where the specification has an array", "same"},
		{"tools/list", `{"name":"a","inputSchema":{"type":"object","required":["x",1]}}`, "inputSchema.required[1] is a number, where the specification has a string", "same"},
		{"tools/list", `{"name":"a","inputSchema":{"type":"object","properties":null}}`, "inputSchema.properties is null, where the specification has an object", "same"},
		{"tools/list", `{"name":"a","inputSchema":{"type":"object","properties":{"x":null}}}`, "inputSchema.properties.x is null, where the specification has an object",
			"inputSchema.properties.x is null, where the specification has an object or a boolean"},
		{"tools/list", `{"name":"a","description":null,` + object + `}`, "description is null, where the specification has a string", "same"},
		{"tools/list", `{"name":null,` + object + `}`, "name is null, where the specification has a string", "same"},
		{"tools/list", `{` + object + `}`, "name is missing", "same"},
		{"tools/list", `{"name":"x","name":"y"}`, "inputSchema is missing", "same"},
		{"tools/list", `null`, "is null, where the specification has an object", "same"},
		{"tools/list", `{"name":"a","annotations":{"readOnlyHint":"yes"},` + object + `}`, "annotations.readOnlyHint is a string, where the specification has a boolean", "same"},
		{"tools/list", `{"name":"a","outputSchema":{"type":"array"},` + object + `}`, "outputSchema.type is not object", ""},
		{"prompts/list", `{"name":"a","arguments":[{"name":"b","required":true}]}`, "", ""},
		{"prompts/list", `{"name":"a","arguments":null}`, "arguments is null, where the specification has an array", "same"},
		{"prompts/list", `{"name":"a","arguments":[{"name":"b"},{}]}`, "arguments[1].name is missing", "same"},
		{"prompts/list", `{"title":"a"}`, "name is missing", "same"},
		{"resources/list", `{"uri":"x:y","name":"a","size":1e3,"annotations":{"audience":["user"],"priority":0.5}}`, "", ""},
		{"resources/list", `{"uri":"x:y"}`, "name is missing", "same"},
		{"resources/list", `{"name":"a"}`, "uri is missing", "same"},
		{"resources/list", `{"uri":"x:y","name":"a","size":1.5}`, "size is no integer", "same"},
		{"resources/list", `{"uri":"x:y","name":"a","annotations":{"priority":2}}`, "annotations.priority is not between 0 and 1", "same"},
		{"resources/list", `{"uri":"x:y","name":"a","annotations":{"audience":["all"]}}`, "annotations.audience[0] is not user or assistant", "same"},
		{"resources/templates/list", `{"uriTemplate":"x:{y}","name":"a"}`, "", ""},
		{"resources/templates/list", `{"uriTemplate":"x:{y}","name":1}`, "name is a number, where the specification has a string", "same"},
	} {
		v, err := jsonrpc.ParseValue([]byte(c.item))
		if err != nil {
			t.Fatal(c.item, err)
		}
		if c.modern == "same" {
			c.modern = c.session
		}
		for modern, want := range map[bool]string{false: c.session, true: c.modern} {
			path, why := definitionOf(c.list, modern).mistake(v)
			if got := strings.TrimSpace(path + " " + why); got != want {
				t.Errorf("%s of a revision without sessions (%t):\n%s\ngot  %q\nwant %q", c.list, modern, c.item, got, want)
			}
		}
	}
}

// careless are the lists of a server that fills its definitions carelessly.
var careless = map[string]string{
	"tools/list": `{"tools":[{"name":"good","inputSchema":{"type":"object"}},{"name":"none","inputSchema":null},
		{"name":"required","inputSchema":{"type":"object","required":null}},{"name":"described","description":null,"inputSchema":{"type":"object"}},
		{"name":"typeless","inputSchema":{"properties":{}}}]}`,
	"prompts/list":             `{"prompts":[{"name":"good"},{"name":"bad","arguments":null}]}`,
	"resources/list":           `{"resources":[{"uri":"x:nameless"},{"uri":"x:good","name":"good"}]}`,
	"resources/templates/list": `{"resourceTemplates":[{"uriTemplate":"x:good/{y}","name":"good"},{"uriTemplate":null,"name":"bad"}]}`,
}

func TestMalformedDefinitionsAreLeftOutOfEveryList(t *testing.T) {
	const capabilities = `{"tools":{},"prompts":{},"resources":{}}`
	raw := newRawServer(t, func(method string) string { return cmp.Or(careless[method], "{}") })
	raw.capabilities = capabilities
	stateless := newRawServer(t, func(method string) string {
		return cmp.Or(careless[method], `{"supportedVersions":["`+spec.Modern+`"],"capabilities":`+capabilities+`}`)
	})
	other := newPagedServer(t, 1)
	for name, backends := range map[string][]backend{
		"one cluster":               {{name: "raw", endpoints: []string{raw.url}}},
		"one of the newer revision": {{name: "raw", endpoints: []string{stateless.url}}},
		"a federation":              {{name: "raw", endpoints: []string{raw.url}}, {name: "other", endpoints: []string{other.url}}},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, func(c *Config) { c.Versions = []string{spec.Modern, spec.NewestLegacy} }, backends...)
			for _, era := range []string{"with a session", "modern"} {
				headers, meta := []string{spec.HeaderSession, ""}, ""
				if era == "modern" {
					meta = modernMeta
				} else {
					headers[1] = g.initialize()
				}
				for list := range maps.Keys(careless) {
					if era == "modern" {
						headers = []string{spec.HeaderVersion, spec.Modern, spec.HeaderMethod, list}
					}
					_, body := g.post(`{"jsonrpc":"2.0","id":1,"method":"`+list+`","params":{`+meta+`}}`, headers...)
					kind, _ := spec.ListOf(list)
					var answer struct{ Result map[string]json.RawMessage }
					var items []map[string]any
					if json.Unmarshal([]byte(body), &answer) != nil || json.Unmarshal(answer.Result[kind.Member], &items) != nil {
						t.Fatalf("%s, %s: %s", era, list, body)
					}
					items = slices.DeleteFunc(items, func(item map[string]any) bool { return strings.HasPrefix(fmt.Sprint(item[kind.Key]), "other") })
					if len(items) != 1 || !strings.Contains(fmt.Sprint(items[0][kind.Key]), "good") {
						t.Errorf("%s, %s: %s", era, list, body)
					}
				}
			}
			for _, line := range []string{
				"name raw tool none: left out: inputSchema is null", "name raw tool typeless: left out: inputSchema.type is missing",
				"name raw prompt bad: left out: arguments is null", "name raw resource x:nameless: left out: name is missing",
				"name raw template : left out: uriTemplate is null",
			} {
				if n := g.trace.count(line); n != 1 {
					t.Errorf("%d lines %q in %q", n, line, g.trace.all())
				}
			}
			if left := g.hub.LeftOut()["raw"]; len(left) != 4+1+1+1 {
				t.Errorf("%d definitions are told as left out: %v", len(left), left)
			}
		})
	}
}

func TestWhatIsMendedIsNotToldAsLeftOut(t *testing.T) {
	pages := []string{`{"tools":[{"name":"a"}],"nextCursor":"2"}`, `{"tools":[{"name":"b"},{"name":"c"}]}`}
	at := 0
	raw := newRawServer(t, func(method string) string {
		if method != spec.ToolsList {
			return "{}"
		}
		at++
		return pages[(at-1)%2]
	})
	g := newGateway(t, nil, backend{name: "raw", endpoints: []string{raw.url}})
	g.toolPages()
	if left := g.hub.LeftOut()["raw"]; len(left) != 3 {
		t.Errorf("%v", left)
	}
	pages[0] = `{"tools":[{"name":"a","inputSchema":{"type":"object"}}],"nextCursor":"2"}` // b is another's now
	pages[1] = `{"tools":[{"name":"c"}]}`
	g.toolPages()
	if left := g.hub.LeftOut()["raw"]; len(left) != 1 || left[0].Name != "c" {
		t.Errorf("%v", left)
	}
}

func TestParametersThatMayBeAnythingAreDescribedByObjectsToOlderClients(t *testing.T) {
	const tool = `{"name":"any","inputSchema":{"type":"object","properties":{"x":true,"y":{"type":"string"},"z":false}}}`
	raw := newRawServer(t, func(method string) string { return `{"tools":[` + tool + `]}` })
	g := newGateway(t, func(c *Config) { c.Versions = []string{spec.Modern, spec.NewestLegacy} }, backend{name: "raw", endpoints: []string{raw.url}})
	_, body := g.post(listBody, spec.HeaderSession, g.initialize())
	if !strings.Contains(body, `"properties":{"x":{},"y":{"type":"string"},"z":{"not":{}}}`) {
		t.Error(body)
	}
	_, body = g.post(`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{`+modernMeta+`}}`, spec.HeaderVersion, spec.Modern, spec.HeaderMethod, "tools/list")
	if !strings.Contains(body, tool) {
		t.Error(body)
	}
	if len(g.hub.LeftOut()) != 0 || g.trace.has("changed") {
		t.Errorf("%v, %q", g.hub.LeftOut(), g.trace.all())
	}
}
