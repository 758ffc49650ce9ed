package config_test

import (
	"testing"

	"gopkg.in/yaml.v3"
)

// A line and a hint are taken out of what the parser says, which its package does
// not promise: where these texts change, so must what reads them.
func TestTheParserSaysWhatHintsAreMadeOf(t *testing.T) {
	for text, want := range map[string]string{
		"a: [\n": "yaml: line 1: did not find expected node content",
		"a: *\n": "yaml: did not find expected alphabetic or numeric character",
		"a: *b":  "yaml: unknown anchor 'b' referenced",
	} {
		if err := yaml.Unmarshal([]byte(text), new(yaml.Node)); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
