package config_test

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/proxy/config"
)

// probe runs its check as the Validate of the root.
type probe struct {
	Name  string                 `yaml:"name"`
	Count int                    `yaml:"count"`
	Inner *probeInner            `yaml:"inner"`
	List  []probeInner           `yaml:"list"`
	Map   map[string]*probeInner `yaml:"map"`
	Plain probeInner             `yaml:"plain"`
	Refs  []sampleRef            `yaml:"refs"`
}

type probeInner struct {
	A int `yaml:"a"`
}

func (p *probe) Validate(s *config.Scope) {
	if check != nil {
		check(s)
	}
}

func (p *probeInner) Validate(s *config.Scope) { s.Warnf("a", "seen") }

// check is what the probe's Validate does in the running test.
var check func(*config.Scope)

const probed = `name: x
count: many
inner: {a: 1}
list:
  - a: 1
  - {a: 2, b: 3}
map:
  x.y: {a: 1}
refs: [short, {name: long}]
`

func scopeOf(t *testing.T, text string, f func(*config.Scope)) (*config.Snapshot, []string) {
	t.Helper()
	check = f
	defer func() { check = nil }()
	path := write(t, map[string]string{"config.yaml": text})
	var p probe
	snapshot, err := load(path, &p)
	var errs config.Errors
	if err != nil && !errors.As(err, &errs) {
		t.Fatal(err)
	}
	var lines []string
	for _, e := range errs {
		lines = append(lines, strings.TrimPrefix(e.Error(), path+":"))
	}
	return snapshot, lines
}

func TestScopePlacesNestedPaths(t *testing.T) {
	for field, want := range map[string]string{
		"name":               "1:7: name: m",
		"list[1].a":          "6:9: list[1].a: m",
		"list[1].missing.x":  "6:5: list[1].missing.x: m",
		"list[7]":            "5:3: list[7]: m",
		"inner":              "3:8: inner: m",
		"inner.a":            "3:12: inner.a: m",
		"plain.a":            "1:1: plain.a: m",
		`map["x.y"].a`:       `8:12: map["x.y"].a: m`,
		"refs[0].name":       "9:8: refs[0].name: m",
		"refs[0].prefix":     "9:8: refs[0].prefix: m",
		"refs[1].name":       "9:22: refs[1].name: m",
		"]odd[":              "1:1: ]odd[: m",
		"list[999999999999]": "5:3: list[999999999999]: m",
		"count":              "", // reported by the decoder
		"list[1].b":          "", // likewise
		"":                   "", // a consequence, most likely
	} {
		_, lines := scopeOf(t, probed, func(s *config.Scope) { s.Errorf(field, "m") })
		decoded := []string{"2:8: count: \"many\" is no whole number", "6:12: list[1].b: unknown key; did you mean \"a\"?"}
		got := ""
		for _, l := range lines {
			if !slices.Contains(decoded, l) {
				got = l
			}
		}
		if got != want || len(lines) < 2 {
			t.Errorf("%q: got %q, want %q among %q", field, got, want, lines)
		}
	}
}

func TestScopeKnowsWhatStoodInTheFile(t *testing.T) {
	_, _ = scopeOf(t, probed, func(s *config.Scope) {
		for field, want := range map[string]bool{
			"name": true, "count": true, "plain": false, "plain.a": false, "list[1].a": true, "list[2]": false,
			"refs[0].name": true, "refs[0].prefix": false, "refs[1].name": true, "": true, "nothing": false,
		} {
			if got := s.IsSet(field); got != want {
				t.Errorf("IsSet(%q) = %t", field, got)
			}
		}
		for field, want := range map[string]bool{"name": false, "count": true, "list[1].b": true, "list[1].a": false} {
			if got := s.Failed(field); got != want {
				t.Errorf("Failed(%q) = %t", field, got)
			}
		}
	})
}

// serving asks whether its file serves already.
type serving struct {
	File   config.File `yaml:"file"`
	serves bool
}

func (s *serving) Validate(scope *config.Scope) { s.serves = scope.Serves(s.File) }

func TestScopeTellsWhatServesAlreadyFromWhatIsNew(t *testing.T) {
	path := write(t, map[string]string{"config.yaml": "file: one", "one": "content", "moved": "content", "two": "other", "marked": "\ufeffcontent"})
	var running *config.Snapshot
	for _, step := range []struct {
		yaml string
		want bool
	}{
		{"file: one", false}, // nothing runs yet
		{"file: one", true},
		{"file: moved", true},
		{"file: two", false},
		{"file: marked", true},
		{"file: \"\"", false},
	} {
		if err := os.WriteFile(path, []byte(step.yaml), 0o644); err != nil {
			t.Fatal(err)
		}
		var s serving
		snapshot, err := config.Load(t.Context(), path, config.Options{Running: running}, &s)
		if err != nil {
			t.Fatal(err)
		}
		if s.serves != step.want {
			t.Errorf("%s: %t", step.yaml, s.serves)
		}
		if running == nil {
			running = snapshot
		}
	}
}

func TestErrorOfTheStructItself(t *testing.T) {
	_, lines := scopeOf(t, "name: x\n", func(s *config.Scope) { s.Errorf("", "m") })
	if !reflect.DeepEqual(lines, []string{"1:1: m"}) {
		t.Errorf("got %q", lines)
	}
}

func TestValidateReachesEveryStructChildrenFirst(t *testing.T) {
	var before int
	snapshot, _ := scopeOf(t, strings.ReplaceAll(probed, "many", "5"), func(s *config.Scope) {
		before++
		s.Warnf("refs", "root")
	})
	var got []string
	for _, w := range snapshot.Warnings {
		got = append(got, fmt.Sprintf("%d %s %s", w.Line, w.Path, w.Message))
	}
	want := []string{
		"1 plain.a seen", "3 inner.a seen", "5 list[0].a seen", "6 list[1].a seen", `8 map["x.y"].a seen`, "9 refs root",
	}
	if before != 1 || !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSuggest(t *testing.T) {
	for _, c := range []struct {
		name       string
		candidates []string
		want       string
	}{
		{"client_cret", []string{"client_key", "client_cert"}, `; did you mean "client_cert"?`},
		{"minVersion", []string{"version", "min_version"}, `; did you mean "min_version"?`},
		{"tsl", []string{"tls", "name"}, `; did you mean "tls"?`},
		{"githb", []string{"jira", "github"}, `; did you mean "github"?`},
		{"x", []string{"name", "tls"}, ""},
		{"name", []string{"name"}, ""},
		{"", []string{"a"}, ""},
		{strings.Repeat("a", 1<<20), []string{"a"}, ""},
	} {
		if got := config.Suggest(c.name, c.candidates); got != c.want {
			t.Errorf("Suggest(%.20q) = %q, want %q", c.name, got, c.want)
		}
	}
}
