package proxy

import (
	"fmt"

	"github.com/mcpgateway/mcpgateway/internal/descriptors"
)

// shortOfDescriptors warns of listeners that may have more connections than the
// process may have descriptors for clients.
func shortOfDescriptors(cfg *Config, r *descriptors.Reserve) (warnings []string) {
	most := r.Clients()
	if most == 0 {
		return nil
	}
	for _, l := range cfg.Listeners {
		if l.Limits.MaxConnections > most {
			warnings = append(warnings, fmt.Sprintf("listener %s: limits.max_connections is %d, and the process may open descriptors for %d; raise its limit (LimitNOFILE= of the unit, ulimit -n), or lower max_connections", l.Name, l.Limits.MaxConnections, most))
		}
	}
	return warnings
}
