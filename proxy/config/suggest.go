package config

import (
	"fmt"
	"strings"
)

// Suggest returns `; did you mean "x"?` for the candidate that name is most
// likely a misspelling of, or "" when none is close.
func Suggest(name string, candidates []string) string {
	best := closest(name, candidates)
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// closest returns the candidate that name is most likely a misspelling of, or
// "". Case, dashes and underscores do not count: minVersion is min_version.
func closest(name string, candidates []string) string {
	const longest = 64 // the distance costs len*len
	if name == "" || len(name) > longest {
		return ""
	}
	fold := strings.NewReplacer("_", "", "-", "")
	folded := fold.Replace(strings.ToLower(name))
	best, least := "", max(1, min(3, len(folded)/3))+1
	for _, c := range candidates {
		if c == name || len(c) > longest {
			continue
		}
		if d := distance(folded, fold.Replace(strings.ToLower(c))); d < least {
			best, least = c, d
		}
	}
	return best
}

// distance is the number of insertions, deletions, replacements and swaps of
// neighbours between a and b.
func distance(a, b string) int {
	var before, last, row []int
	for j := range len(b) + 1 {
		last = append(last, j)
	}
	for i := 1; i <= len(a); i++ {
		row = append(make([]int, 0, len(b)+1), i)
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, before[j-2]+1)
			}
			row = append(row, d)
		}
		before, last = last, row
	}
	return last[len(b)]
}
