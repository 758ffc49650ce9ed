package federation

import (
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
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
