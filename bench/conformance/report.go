package main

import (
	"fmt"
	"io"
	"sort"
	"strings"
)

// results are what passed (and what did not) on each way: direct first.
type results struct {
	ways  []string
	cases map[string][]verdict // one for each way
}

// verdict is the outcome of one scenario.
type verdict struct {
	ran, passed bool
	said        string
}

func newResults(ways ...string) *results {
	return &results{ways: ways, cases: map[string][]verdict{}}
}

func (r *results) set(scenario string, way int, v verdict) {
	if r.cases[scenario] == nil {
		r.cases[scenario] = make([]verdict, len(r.ways))
	}
	r.cases[scenario][way] = v
}

// report writes the counts side by side, and each scenario that passed directly
// and failed through the gateway. It returns how many these are.
func report(w io.Writer, leg string, r *results) (lost int) {
	names := make([]string, 0, len(r.cases))
	for name := range r.cases {
		names = append(names, name)
	}
	sort.Strings(names)
	var counts []string
	for i, way := range r.ways {
		passed, ran := 0, 0
		for _, name := range names {
			if v := r.cases[name][i]; v.ran {
				ran++
				if v.passed {
					passed++
				}
			}
		}
		counts = append(counts, fmt.Sprintf("%s %d/%d", way, passed, ran))
	}
	fmt.Fprintf(w, "%-34s %s\n", leg, strings.Join(counts, "   "))
	for _, name := range names {
		for i, way := range r.ways[1:] {
			if v := r.cases[name][i+1]; r.cases[name][0].passed && !v.passed {
				lost++
				fmt.Fprintf(w, "  lost: %s, %s: %s\n", name, way, v.said)
			}
		}
	}
	return lost
}
