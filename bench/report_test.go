package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestQuantileIsNearestRank(t *testing.T) {
	values := []time.Duration{5, 1, 4, 2, 3}
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 3, 0.99: 5, 1: 5} {
		if got := quantile(values, q); got != want {
			t.Errorf("quantile %v: got %v, want %v", q, got, want)
		}
	}
}

func TestRatioComparesWithinEachRound(t *testing.T) {
	// The machine was ten times slower in the last round; the ratio stays.
	a := []sample{{proxyCPU: 20}, {proxyCPU: 22}, {proxyCPU: 200}}
	b := []sample{{proxyCPU: 10}, {proxyCPU: 11}, {proxyCPU: 100}}
	if got := ratio(a, b, proxyCPU); got != 2 {
		t.Errorf("got %v, want 2", got)
	}
}

func TestReportIsAMarkdownTablePerLoad(t *testing.T) {
	s := []sample{{proxyCPU: 30 * time.Microsecond, upstreamCPU: 40 * time.Microsecond, p50: time.Millisecond, p99: 2 * time.Millisecond, rate: 1000}}
	loads := []*load{{name: "GET", cases: []*testCase{
		{name: "alone", samples: s},
		{name: "nginx", proxy: &process{}, baseline: true, samples: s},
	}}}
	var out bytes.Buffer
	if err := report(&out, options{nginx: "/nonexistent", rounds: 1, requests: 2, concurrency: 3}, loads); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| alone | – | – | 40 µs | 1000 µs | 1.00 | 2000 µs | 1000 |\n",
		"| nginx | 30 µs | 1.00 | 40 µs | 1000 µs | 1.00 | 2000 µs | 1000 |\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no line %q in\n%s", want, out.String())
		}
	}
}
