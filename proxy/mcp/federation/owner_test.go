package federation

import "testing"

// listed returns what members were last seen to list.
func listed(names map[string][]string) Known {
	return func(m Member, name string) bool {
		for _, other := range names[m.Name] {
			if other == name {
				return true
			}
		}
		return false
	}
}

func TestWhoseNameAClientMeans(t *testing.T) {
	alpha, beta, gamma := Member{Name: "alpha"}, Member{Name: "beta", Prefix: "b"}, Member{Name: "gamma"}
	known := listed(map[string][]string{"alpha": {"one", "both"}, "beta": {"two", "both"}})
	one, two := []Member{alpha}, []Member{alpha, beta}
	for what, c := range map[string]struct {
		begun, now []Member // when the session began, and now
		mode, name string
		owner, own string // "": none
	}{
		"the only one":                         {one, one, "auto", "b__x", "alpha", "b__x"},
		"by its prefix":                        {two, two, "auto", "b__x", "beta", "x"},
		"by its own name, without a prefix":    {two, two, "auto", "two", "beta", "two"},
		"a bare name of two":                   {two, two, "auto", "both", "", ""},
		"an unknown name":                      {two, two, "auto", "x", "", ""},
		"one that had no prefix":               {one, two, "auto", "one", "alpha", "one"},
		"one that came later":                  {one, two, "auto", "b__x", "beta", "x"},
		"unknown, of one that had no prefix":   {one, two, "auto", "x", "alpha", "x"},
		"one that came later with a taken one": {two, []Member{beta, {Name: "gamma", Prefix: "alpha"}}, "auto", "gamma__x", "gamma", "x"},
		"always":                               {one, one, "always", "alpha__one", "alpha", "one"},
		"never, the first of two":              {two, two, "never", "both", "alpha", "both"},
		"never, the first in the file":         {two, []Member{beta, alpha}, "never", "both", "beta", "both"},
		"never, unknown":                       {two, two, "never", "x", "", ""},
		"none that knows it":                   {two, []Member{gamma}, "auto", "one", "", ""},
	} {
		owner, own, ok := NewNaming(c.mode, c.begun).Owner(c.now, c.name, known)
		if ok != (c.owner != "") || ok && (owner.Name != c.owner || own != c.own) {
			t.Errorf("%s: %q of %q, %t", what, own, owner.Name, ok)
		}
	}
}

func TestWhoseURIAClientMeans(t *testing.T) {
	alpha, beta := Member{Name: "alpha"}, Member{Name: "beta"}
	known := listed(map[string][]string{"beta": {"x:y"}})
	one, two := []Member{alpha}, []Member{alpha, beta}
	for what, c := range map[string]struct {
		begun, now      []Member
		uri, owner, own string
	}{
		"the only one":             {one, one, "beta+x:y", "alpha", "beta+x:y"},
		"by its cluster":           {two, two, "alpha+x:y", "alpha", "x:y"},
		"of an app":                {two, two, "ui://beta+panel", "beta", "ui://panel"},
		"by its own URI":           {two, two, "x:y", "beta", "x:y"},
		"unknown":                  {two, two, "git+ssh://x", "", ""},
		"one that had no prefix":   {one, two, "alpha+x:y", "alpha", "alpha+x:y"},
		"beside one that had none": {one, two, "beta+x:y", "beta", "x:y"},
	} {
		owner, own, ok := NewNaming("auto", c.begun).OwnerOfURI(c.now, c.uri, known)
		if ok != (c.owner != "") || ok && (owner.Name != c.owner || own != c.own) {
			t.Errorf("%s: %q of %q, %t", what, own, owner.Name, ok)
		}
	}
}
