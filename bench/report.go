package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// quantile is the nearest-rank quantile.
func quantile[T cmp.Ordered](values []T, q float64) T {
	sorted := slices.Sorted(slices.Values(values))
	i := int(q * float64(len(sorted)))
	return sorted[min(i, len(sorted)-1)]
}

func median[T cmp.Ordered](samples []sample, of func(sample) T) T {
	values := make([]T, len(samples))
	for i, s := range samples {
		values[i] = of(s)
	}
	return quantile(values, 0.5)
}

// ratio is the median over the rounds of what a costs against b in the same round.
func ratio(a, b []sample, of func(sample) time.Duration) float64 {
	values := make([]float64, len(a))
	for i := range a {
		values[i] = float64(of(a[i])) / float64(max(of(b[i]), 1))
	}
	return quantile(values, 0.5)
}

func proxyCPU(s sample) time.Duration    { return s.proxyCPU }
func upstreamCPU(s sample) time.Duration { return s.upstreamCPU }
func p50(s sample) time.Duration         { return s.p50 }
func p99(s sample) time.Duration         { return s.p99 }
func rate(s sample) float64              { return s.rate }

// report writes Markdown.
func report(w io.Writer, opts options, missing []string, loads []*load, footprints []footprint) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "%s. %d rounds of %d requests, %d at once, HTTP/1.1, mutual TLS on every hop; medians of the rounds. Upstream, proxy and load generator share the machine.\n",
		machine(opts.nginx), opts.rounds, opts.requests, opts.concurrency)
	for _, peer := range missing {
		fmt.Fprintf(out, "%s is left out: it is not installed.\n", peer)
	}
	for _, l := range loads {
		var base *testCase
		for _, c := range l.cases {
			if c.baseline {
				base = c
			}
		}
		fmt.Fprintf(out, "\n| %s | proxy CPU per request | against nginx | ", l.name)
		rule := "| --- | ---: | ---: | "
		if opts.before != "" {
			fmt.Fprint(out, "against before | ")
			rule += "---: | "
		}
		fmt.Fprintln(out, "upstream CPU per request | p50 | against nginx | p99 | requests/s |")
		fmt.Fprintln(out, rule+"---: | ---: | ---: | ---: | ---: |")
		for _, c := range l.cases {
			cpu, cpuRatio := "–", "–"
			if c.proxy != nil {
				cpu = micros(median(c.samples, proxyCPU))
				cpuRatio = fmt.Sprintf("%.2f", ratio(c.samples, base.samples, proxyCPU))
			}
			fmt.Fprintf(out, "| %s | %s | %s | ", c.name, cpu, cpuRatio)
			switch {
			case c.before != nil:
				fmt.Fprintf(out, "%.3f | ", ratio(c.samples, c.before.samples, proxyCPU))
			case opts.before != "":
				fmt.Fprint(out, "– | ")
			}
			fmt.Fprintf(out, "%s | %s | %.2f | %s | %.0f |\n",
				micros(median(c.samples, upstreamCPU)),
				micros(median(c.samples, p50)), ratio(c.samples, base.samples, p50),
				micros(median(c.samples, p99)), median(c.samples, rate))
		}
	}
	if len(footprints) > 0 {
		fmt.Fprintf(out, "\n| memory, each of %d | KiB |\n| --- | ---: |\n", opts.clients)
	}
	for _, f := range footprints {
		fmt.Fprintf(out, "| %s: %s | %.1f |\n", f.kind, f.proxy, float64(f.each)/(1<<10))
	}
	return out.Flush()
}

func micros(d time.Duration) string {
	return fmt.Sprintf("%d µs", d.Round(time.Microsecond).Microseconds())
}

// machine describes where the numbers come from, as far as it can be found out.
func machine(nginx string) string {
	parts := []string{field("/proc/cpuinfo", "model name"), fmt.Sprintf("%d CPUs", runtime.NumCPU())}
	if total := field("/proc/meminfo", "MemTotal"); total != "" {
		var kib int
		if _, err := fmt.Sscanf(total, "%d kB", &kib); err == nil {
			parts = append(parts, fmt.Sprintf("%d GiB", (kib+(1<<19))>>20))
		}
	}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		parts = append(parts, "Linux "+strings.TrimSpace(string(release)))
	}
	parts = append(parts, runtime.Version())
	if version, err := exec.Command(nginx, "-v").CombinedOutput(); err == nil {
		parts = append(parts, strings.TrimPrefix(strings.TrimSpace(string(version)), "nginx version: "))
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
}

// field returns the first value of a "name : value" file.
func field(path, name string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
