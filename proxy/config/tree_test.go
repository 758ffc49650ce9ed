package config

import "testing"

// FuzzPath holds that Scope finds what is below any key of a map.
func FuzzPath(f *testing.F) {
	for _, key := range []string{"a", "", "a.b", "x[1]", `q"`, `\`, "é", "\xff", "\n", "[0]", `["a"]`} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		path := atField(atIndex(atKey(atKey("", key), key), 3), "x")
		var got []step
		for rest := path; rest != ""; {
			s, after, ok := cutStep(rest)
			if !ok {
				break
			}
			got, rest = append(got, s), after
		}
		if len(got) != 4 || got[0].key != key || got[1].key != key || got[2].index != 3 || got[3].key != "x" {
			t.Errorf("%q is taken apart as %+v", path, got)
		}
	})
}
