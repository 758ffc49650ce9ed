package config_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"gopkg.in/yaml.v3"

	"github.com/mcpgateway/mcpgateway/proxy/config"
)

// described is sample without the route that holds itself.
type described struct {
	Log       sampleLog               `yaml:"log" doc:"What is logged."`
	Limits    sampleLimits            `yaml:"limits"`
	Listeners []sampleListener        `yaml:"listeners" required:"true"`
	Refs      []sampleRef             `yaml:"refs"`
	Headers   map[string]config.Value `yaml:"headers" example:"{X-Team: edge}"`
	Pools     map[string]samplePool   `yaml:"pools"`
	Token     config.Secret           `yaml:"token"`
	Verbose   *bool                   `yaml:"verbose"`
	Match     *sampleMatch            `yaml:"match"`
	Pin       sampleRef               `yaml:"pin" default:"{name: a}"`

	_ struct{} `later:"acme"`
}

func TestSchemaIsWrittenFromTheTags(t *testing.T) {
	got, err := config.Schema(&described{}, "sample")
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/schema.json"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("got\n%s", got)
	}
}

// TestSchemaAgreesWithLoad has both judge the same files.
func TestSchemaAgreesWithLoad(t *testing.T) {
	text, err := config.Schema(described{}, "sample")
	if err != nil {
		t.Fatal(err)
	}
	var schema jsonschema.Schema
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	resolved, err := schema.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text string
		good bool
	}{
		{"{}", false},
		{"listeners: []", true},
		{"listeners: {}", false},
		{"listeners: [{name: a, address: ':80'}]", true},
		{"listeners: [{name: A, address: ':80'}]", false},
		{"listeners: [{name: a, address: ''}]", false},
		{"listeners: [{name: a}]", false},
		{"listeners: [{name: '${NAME}', address: ':80', tls: {}}]", true},
		{"listeners: [{name: a, address: x, protocols: [h2]}]", true},
		{"listeners: [{name: a, address: x, protocols: [h3]}]", false},
		{"listeners: [{name: a, address: x, tls: {crl: x}}]", false},
		{"{listeners: [], acme: {}}", false},
		{"{listeners: [], lisener: []}", false},
		{"{listeners: [], log: {level: debug, access: false}}", true},
		{"{listeners: [], log: {level: loud}}", false},
		{"{listeners: [], log: {level: ''}}", false},
		{"{listeners: [], log: {format: ''}}", true},
		{"{listeners: [], match: {path: /, method: ''}}", true},
		{"{listeners: [], match: {path: /, method: get}}", false},
		{"{listeners: [], log: {level: '${LEVEL}', access: '${YES}', file: 7}}", true},
		{"{listeners: [], log: {access: yes}}", false},
		{"{listeners: [], log: null}", false},
		{"{listeners: [], limits: {connections: 1, small: -5, streams: 0, weight: 0.5}}", true},
		{"{listeners: [], limits: {connections: '${PORT}'}}", true},
		{"{listeners: [], limits: {connections: '5'}}", false},
		{"{listeners: [], limits: {connections: 0}}", false},
		{"{listeners: [], limits: {connections: 1.5}}", false},
		{"{listeners: [], limits: {streams: -1}}", false},
		{"{listeners: [], limits: {header: 64KiB, timeout: 1m30s, idle: 0, jitter: 5%}}", true},
		{"{listeners: [], limits: {header: 2048}}", true},
		{"{listeners: [], limits: {header: 64KB}}", false},
		{"{listeners: [], limits: {timeout: 15}}", false},
		{"{listeners: [], limits: {timeout: '15'}}", false},
		{"{listeners: [], limits: {timeout: '${WAIT}'}}", true},
		{"{listeners: [], limits: {jitter: 5}}", false},
		{"{listeners: [], refs: [a, {name: b, prefix: c}]}", true},
		{"{listeners: [], refs: [{prefix: c}]}", false},
		{"{listeners: [], refs: [[a]]}", false},
		{"{listeners: [], pin: b}", true},
		{"{listeners: [], headers: {A: x, B: 5, C: {file: schema_test.go}}}", true},
		{"{listeners: [], headers: {A: {fil: x}}}", false},
		{"{listeners: [], headers: {A: {}}}", false},
		{"{listeners: [], headers: {A: [x]}}", false},
		{"{listeners: [], pools: {a: {size: 3}}, token: '', verbose: true}", true},
		{"{listeners: [], pools: {a: 3}}", false},
	} {
		var instance any
		if err := yaml.Unmarshal([]byte(c.text), &instance); err != nil {
			t.Fatal(err)
		}
		if err := resolved.Validate(instance); (err == nil) != c.good {
			t.Errorf("%s: the schema says %v", c.text, err)
		}
		path := write(t, map[string]string{"config.yaml": c.text, "schema_test.go": ""})
		var d described
		if _, err := load(path, &d); (err == nil) != c.good {
			t.Errorf("%s: Load says %v", c.text, err)
		}
	}
}

func TestSchemaOfWhatHasNone(t *testing.T) {
	for _, v := range []any{nil, 5, sampleRoute{}} {
		if _, err := config.Schema(v, "x"); err == nil {
			t.Errorf("%T has a schema", v)
		}
	}
}
