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
	if err := report(&out, options{nginx: "/nonexistent", rounds: 1, requests: 2, concurrency: 3}, []string{"Envoy"}, loads, []footprint{{"idle connection", "nginx", 20 << 10}}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Envoy is left out: it is not installed.\n",
		"| idle connection: nginx | 20.0 |\n",
		"| alone | – | – | 40 µs | 1000 µs | 1.00 | 2000 µs | 1000 |\n",
		"| nginx | 30 µs | 1.00 | 40 µs | 1000 µs | 1.00 | 2000 µs | 1000 |\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no line %q in\n%s", want, out.String())
		}
	}
}

func TestReportComparesWithTheBinaryBefore(t *testing.T) {
	took := func(d time.Duration) []sample { return []sample{{proxyCPU: d}} }
	l := &load{name: "GET", cases: []*testCase{
		{name: "nginx", proxy: &process{}, baseline: true, samples: took(10)},
		{name: "mcpgateway, plain proxy", proxy: &process{}, samples: took(30)},
		{name: before + ", plain proxy", proxy: &process{}, samples: took(20)},
		{name: before + ", MCP", proxy: &process{}, samples: took(40)},
		{name: "mcpgateway, MCP", proxy: &process{}, samples: took(10)},
	}}
	l.pair()
	var out bytes.Buffer
	if err := report(&out, options{nginx: "/nonexistent", before: "old"}, nil, []*load{l}, nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| nginx | 0 µs | 1.00 | – | ",
		"| mcpgateway, plain proxy | 0 µs | 3.00 | 1.500 | ",
		"| mcpgateway before, plain proxy | 0 µs | 2.00 | – | ",
		"| mcpgateway, MCP | 0 µs | 1.00 | 0.250 | ",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
