package federation

import "testing"

func FuzzURI(f *testing.F) {
	for _, uri := range []string{"file:///a", "urn:x", "ui://app/x", "a+b+c", "", "git+ssh://x"} {
		f.Add(uri)
	}
	f.Fuzz(func(t *testing.T, own string) {
		cluster, got, ok := splitURI(Mapper{cluster: "alpha"}.uri(own))
		if !ok || cluster != "alpha" || got != own {
			t.Errorf("%q: %q %q %v", own, cluster, got, ok)
		}
	})
}
