package mcp

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

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
					kind := *spec.Request(list).List
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
