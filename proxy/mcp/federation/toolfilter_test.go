package federation

import "testing"

func TestToolPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		fits          bool
	}{
		{"*", "", true}, {"*", "any", true}, {"read", "read", true}, {"read", "reader", false},
		{"read_*", "read_", true}, {"read_*", "xread_a", false}, {"*_file", "read_file", true}, {"*_file", "file", false},
		{"a*b*c", "abc", true}, {"a*b*c", "axbxbxc", true}, {"a*b*c", "acb", false}, {"ab*ba", "aba", false},
		{"**x**", "x", true}, {"Read", "read", false}, {"ä*", "äh", true}, {"*a", "aaa", true},
	} {
		if matchName(c.pattern, c.name) != c.fits {
			t.Errorf("%q and %q: want %t", c.pattern, c.name, c.fits)
		}
	}
	f := ToolFilter{Allow: []string{"a*", "b"}, Deny: []string{"*x"}}
	for name, shows := range map[string]bool{"a": true, "ax": false, "b": true, "bb": false} {
		if f.Shows(name) != shows {
			t.Errorf("%s: want %t", name, shows)
		}
	}
}
