package proxy

import (
	"fmt"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/proxy/mcp"
	"github.com/mcpgateway/mcpgateway/proxy/routes"
)

// Details says what users will notice of each change, one thing a line.
func (p Plan) Details() []string {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, l := range p.Listeners {
		switch {
		case l.Change == Removed:
			add("listener %s: removed; its connections drain", l.Name)
		case l.Drains:
			add("listener %s: redefined; connections drain, new ones meet the new definition", l.Name)
		}
		if l.Certificates {
			add("listener %s: the next handshake shows the new certificates; connections are untouched", l.Name)
		}
		if l.Trust {
			add("listener %s: clients are verified by the new rules, those that are connected again", l.Name)
		}
	}
	for _, c := range p.Clusters {
		switch {
		case c.Change == Removed:
			add("cluster %s: removed; calls in flight finish", c.Name)
		case c.Pools:
			add("cluster %s: later connections are new ones; calls in flight finish on the old", c.Name)
		}
		if c.Endpoints {
			add("cluster %s: the endpoints changed; calls to removed ones finish", c.Name)
		}
	}
	for _, r := range p.Routes {
		add("route %s: %s", r.Name, r.Change)
	}
	return lines
}

// unhealthy says which of the clusters that the plan adds or changes have
// endpoints that take no traffic yet, one cluster a line.
func unhealthy(p Plan, set *clusters.Set) []string {
	var lines []string
	for _, change := range p.Clusters {
		c, ok := set.Get(change.Name)
		if !ok {
			continue
		}
		ill := c.Ill()
		if len(ill) == 0 {
			continue
		}
		example := ill[len(ill)-1]
		why := "is " + example.Health.String()
		if example.Earlier {
			why = "is checked at once; before this change it was " + example.Health.String()
		}
		if example.LastError != nil {
			why += ": " + example.LastError.Error()
		}
		lines = append(lines, fmt.Sprintf("cluster %s: %d of %d endpoints take no traffic yet; %s %s", c.Name(), len(ill), len(c.Endpoints()), example.ID, why))
	}
	return lines
}

// toolNotice counts the tools that new sessions know by another name, because
// a route began, or ceased, to tell several clusters apart, and those that a
// filter hides from everybody, or shows again.
func toolNotice(hub *mcp.Hub, old, new *Config) []string {
	renamed, hidden, shown := 0, 0, 0
	routesBefore := byName(old.Routes, func(r *routes.Config) string { return r.Name })
	for i := range new.Routes {
		after := &new.Routes[i]
		before := routesBefore[after.Name]
		if before == nil || before.MCP == nil || after.MCP == nil {
			continue
		}
		for cluster, tools := range hub.Catalogue(after.Name) {
			if !before.MCP.Names(cluster) || !after.MCP.Names(cluster) {
				continue
			}
			for _, tool := range tools {
				switch was, is := before.MCP.ToolName(cluster, tool), after.MCP.ToolName(cluster, tool); {
				case was == is:
				case is == "":
					hidden++
				case was == "":
					shown++
				default:
					renamed++
				}
			}
		}
	}
	var parts []string
	for _, part := range []struct {
		verb string
		n    int
	}{{"renames", renamed}, {"hides", hidden}, {"shows", shown}} {
		if part.n > 0 {
			parts = append(parts, part.verb+" "+count(part.n, "tool"))
		}
	}
	return parts
}
