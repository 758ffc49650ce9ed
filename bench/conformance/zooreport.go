package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// promised are what the gateway keeps for a client, also where the direct
// connection does not.
var promised = []string{"connect", "killed in a call", "companion", "after a kill", "restarted", "idle", "list at the end"}

// judgeZoo prints what each client lost on each way, and returns how much of
// that the gateway answers for: all that it promises, and all that the direct
// connection has.
func judgeZoo(w io.Writer, pens []*pen, verbose bool) (lost int) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	var reasons []string
	fmt.Fprintln(table, "client\tserver\tover\trevision\tlost directly\tby one cluster\tby a federation")
	for _, p := range pens {
		if p.err != nil {
			lost++
			fmt.Fprintf(table, "\t%s\t%s\t\t%v\n", p.species.name, p.over, p.err)
			continue
		}
		for _, client := range p.clients {
			ways := make([]*visitor, len(zooWays))
			for _, v := range p.visitors {
				if v.client.name == client.name {
					ways[v.way] = v
				}
			}
			cells := []string{client.name, p.species.name, p.over, revisions(ways)}
			for _, v := range ways {
				var missing []string
				for _, what := range slices.Sorted(maps.Keys(v.outcome)) {
					said := v.outcome[what]
					ours := v.way > 0 && (slices.Contains(promised, what) || ways[0].outcome[what] == "ok")
					if said == "ok" || v.way > 0 && !ours {
						continue
					}
					missing = append(missing, what)
					if ours {
						lost++
					}
					if ours || verbose {
						reasons = append(reasons, fmt.Sprintf("  %s, %s of %s, %s: %.300q", what, zooWays[v.way], client.name, p.name(), said))
					}
				}
				cells = append(cells, orNothing(missing))
			}
			fmt.Fprintln(table, strings.Join(cells, "\t"))
		}
	}
	_ = table.Flush()
	for _, reason := range reasons {
		fmt.Fprintln(w, reason)
	}
	return lost
}

// revisions tells which was spoken on each way, once if it is the same.
func revisions(ways []*visitor) string {
	var all []string
	for _, v := range ways {
		all = append(all, v.revision)
	}
	return strings.Join(slices.Compact(all), " ")
}

func orNothing(missing []string) string {
	if len(missing) == 0 {
		return "nothing"
	}
	return strings.Join(missing, ", ")
}
