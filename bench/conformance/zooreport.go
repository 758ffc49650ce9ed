package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// stage is something that is done to a server, and the outcomes that it has.
type stage struct {
	name     string
	outcomes []string
	// promised: the gateway keeps it for a client also where the direct
	// connection does not.
	promised bool
}

var stages = []stage{
	{"reached", []string{"connect"}, true},
	{"used", []string{"list", "echo", "read", "prompt", "state", "progress", "log"}, false},
	{"slowed", []string{"slowed"}, false},
	{"killed in a call", []string{"killed in a call", "companion", "after a kill"}, true},
	{"restarted", []string{"restarted"}, true},
	{"restarted 10 times", []string{"restarted ten times", "after ten restarts", "healthy again", "new client"}, true},
	{"left idle", []string{"idle", "list at the end"}, true},
}

// judgeZoo prints, for each server and client, how each way through the gateway
// compares with the direct one, and returns how much of what is lost is the
// gateway's fault: what it promises, and what the direct connection keeps.
func judgeZoo(w io.Writer, trials []*trial, verbose bool) (lost int) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	header := []string{"server", "over", "client"}
	for _, s := range stages {
		header = append(header, s.name)
	}
	fmt.Fprintln(table, strings.Join(append(header, "calls, lost with a reason"), "\t"))
	var reasons []string
	for _, p := range trials {
		rows, why, n := p.judge(verbose)
		for _, row := range rows {
			fmt.Fprintln(table, strings.Join(row, "\t"))
		}
		reasons, lost = append(reasons, why...), lost+n
	}
	_ = table.Flush()
	for _, reason := range reasons {
		fmt.Fprintln(w, reason)
	}
	return lost
}

// judge returns a row for each client, why something was lost, and how much of it
// is the gateway's fault.
func (p *trial) judge(verbose bool) (rows [][]string, reasons []string, lost int) {
	if p.err != nil {
		return [][]string{{p.sdk.name, p.over, "", p.err.Error()}}, nil, 1
	}
	for _, client := range p.clients {
		participants := slices.DeleteFunc(slices.Clone(p.participants), func(v *participant) bool { return v.client.name != client.name })
		slices.SortFunc(participants, func(a, b *participant) int { return a.way - b.way })
		row := []string{p.sdk.name, p.over, client.name}
		for _, s := range stages {
			cell, why, n := s.compare(participants, verbose)
			row, reasons, lost = append(row, cell), append(reasons, why...), lost+n
		}
		calls, excused := 0, 0
		for _, v := range participants {
			calls, excused = calls+v.calls, excused+v.excused
		}
		rows = append(rows, append(row, fmt.Sprintf("%d, %d", calls, excused)))
	}
	return rows, reasons, lost
}

// compare returns how a stage went through the gateway: the same as directly, kept
// where it is lost directly, or what was lost. The reasons say why, and if verbose
// also why the direct connection lost something.
func (s *stage) compare(participants []*participant, verbose bool) (cell string, reasons []string, lost int) {
	direct := participants[0].outcome
	var missing []string
	cell = "-"
	for _, v := range participants {
		for _, what := range s.outcomes {
			said, tried := v.outcome[what]
			if !tried {
				continue
			}
			if cell == "-" {
				cell = "same"
			}
			if v.way > 0 && said == "ok" && direct[what] != "ok" {
				cell = "kept"
			}
			ours := v.way > 0 && (s.promised || direct[what] == "ok")
			if said == "ok" || !ours && !verbose {
				continue
			}
			reasons = append(reasons, fmt.Sprintf("  %s, %s of %s, %s, %s: %.300q", what, zooWays[v.way], v.client.name, v.home, v.revision, said))
			if ours {
				lost++
				if !slices.Contains(missing, what) {
					missing = append(missing, what)
				}
			}
		}
	}
	if missing != nil {
		cell = "LOST: " + strings.Join(missing, ", ")
	}
	return cell, reasons, lost
}
