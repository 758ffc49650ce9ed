package routes

import (
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"testing"
)

// TestTheIndexFindsWhatAWalkFinds compares the index with a walk over all
// routes, for random tables and requests made of a few hosts and segments, so
// that they meet often.
func TestTheIndexFindsWhatAWalkFinds(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(list []string) string { return list[random.IntN(len(list))] }
	paths := []string{"/", "/a", "/a/b", "/a/b/c", "/ab", "/b", "/b/a", "/a/", "/a/b/", "/a/b/c/d/e/f/g"}
	hosts := []string{"x.example", "a.x.example", "b.a.x.example", "example", "y.example", "10.0.0.1", "::1"}
	patterns := []string{"x.example", "*.x.example", "*.example", "y.example", "10.0.0.1", "[::1]"}
	found := 0
	for range 300 {
		var list []*route
		for i := range random.IntN(12) {
			c := Config{Name: fmt.Sprint(i)}
			if random.IntN(2) == 0 {
				c.Match.Path = pick(paths)
			} else {
				c.Match.PathPrefix = pick(paths)
			}
			for range random.IntN(3) {
				c.Match.Hosts = append(c.Match.Hosts, pick(patterns))
			}
			if random.IntN(3) == 0 {
				c.Match.Methods = []string{"POST"}
			}
			rt, err := compile(&c)
			if err != nil {
				t.Fatal(err)
			}
			if random.IntN(4) == 0 && rt.exact != "" {
				rt.also = []string{pick(paths)}
			}
			list = append(list, rt)
		}
		table := newTable(list, "")
		for range 100 {
			r, host := httptest.NewRequest(pick([]string{"GET", "POST"}), pick(paths), nil), pick(hosts)
			var want *route
			if i := slices.IndexFunc(list, func(rt *route) bool { return rt.matches(r, host) && rt.matchesMethod(r.Method) }); i >= 0 {
				want = list[i]
				found++
			}
			if got := table.find(r, host); got != want {
				t.Fatalf("%s %s on %s: found %v, want %v", r.Method, r.URL.Path, host, got, want)
			}
		}
	}
	if found < 1000 {
		t.Errorf("only %d requests met a route; the test compares too little", found)
	}
}

// TestTheLastOfManyRoutesIsFoundInAFewSteps counts the routes that are looked
// at, by path and by host: their number must not grow with the table.
func TestTheLastOfManyRoutesIsFoundInAFewSteps(t *testing.T) {
	const n = 10000
	for name, config := range map[string]func(i int) Config{
		"paths":    func(i int) Config { return Config{Match: Match{Path: fmt.Sprintf("/r%d", i)}} },
		"prefixes": func(i int) Config { return Config{Match: Match{PathPrefix: fmt.Sprintf("/r%d", i)}} },
		"hosts": func(i int) Config {
			return Config{Match: Match{PathPrefix: "/", Hosts: []string{fmt.Sprintf("h%d.example", i)}}}
		},
		"wildcards": func(i int) Config {
			return Config{Match: Match{PathPrefix: "/", Hosts: []string{fmt.Sprintf("*.h%d.example", i)}}}
		},
	} {
		var list []*route
		for i := range n {
			c := config(i)
			rt, err := compile(&c)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, rt)
		}
		last := n - 1
		c := newTable(list, "").candidates(fmt.Sprintf("h%d.example", last), fmt.Sprintf("/r%d", last))
		if name == "wildcards" {
			c = newTable(list, "").candidates(fmt.Sprintf("a.h%d.example", last), "/x")
		}
		if rt := c.next(); rt != list[last] {
			t.Errorf("%s: the first candidate is not the last route", name)
		}
		if c.next() != nil {
			t.Errorf("%s: more than one of %d routes is looked at", name, n)
		}
	}
}

func BenchmarkFind(b *testing.B) {
	var list []*route
	for i := range 10000 {
		rt, err := compile(&Config{Match: Match{PathPrefix: fmt.Sprintf("/r%d", i)}})
		if err != nil {
			b.Fatal(err)
		}
		list = append(list, rt)
	}
	table := newTable(list, "")
	for name, path := range map[string]string{"first": "/r0/x", "last": "/r9999/x"} {
		r := httptest.NewRequest("GET", path, nil)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				table.find(r, "example.com")
			}
		})
	}
}
