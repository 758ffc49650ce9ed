package federation

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mcpgateway/mcpgateway/proxy/config"
)

// ToolFilter chooses among the tools of one member, by patterns over its own
// names: * is any run of characters, everything else is itself. What it does
// not show does not exist for the clients of the route.
type ToolFilter struct {
	Allow []string `yaml:"allow" default:"[\"*\"]" doc:"Tools that are served, by the cluster's own names; * is any run of characters."`
	Deny  []string `yaml:"deny" example:"[\"delete_*\"]" doc:"Tools that are not, although allow names them."`
}

// Validate refuses patterns that mean something else elsewhere, and a filter
// of which it is unclear whether it was meant.
func (f *ToolFilter) Validate(s *config.Scope) {
	if len(f.Allow) == 0 && s.IsSet("allow") {
		s.Errorf("allow", `allows no tool at all; if that is meant, write deny: ["*"]`)
	}
	validatePatterns(s, "allow", f.Allow)
	validatePatterns(s, "deny", f.Deny)
}

func validatePatterns(s *config.Scope, field string, patterns []string) {
	for i, pattern := range patterns {
		if why := patternMistake(pattern); why != "" {
			s.Errorf(fmt.Sprintf("%s[%d]", field, i), "%q %s", pattern, why)
		}
	}
}

// patternMistake says what is wrong with a pattern, or "".
func patternMistake(pattern string) string {
	switch {
	case pattern == "":
		return "is no pattern; write the name of a tool, with * for any run of characters"
	case len(pattern) > nameLimit:
		return fmt.Sprintf("is longer than the %d characters that a name may have", nameLimit)
	case strings.ContainsAny(pattern, `?[]{}\^$|`):
		return "holds a character that is no part of a name; only * is special, for any run of characters"
	case strings.ContainsFunc(pattern, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "holds a control character"
	}
	return ""
}

// All reports that no tool is hidden.
func (f *ToolFilter) All() bool {
	return len(f.Deny) == 0 && (len(f.Allow) == 0 || len(f.Allow) == 1 && f.Allow[0] == "*")
}

// Shows reports whether a tool of that name is served. Deny beats allow.
func (f *ToolFilter) Shows(name string) bool {
	if f.All() {
		return true
	}
	matches := func(pattern string) bool { return matchName(pattern, name) }
	return !slices.ContainsFunc(f.Deny, matches) && (len(f.Allow) == 0 || slices.ContainsFunc(f.Allow, matches))
}

// matchName reports whether the whole name fits the pattern. Each run is
// taken as short as it can be, which finds a fit wherever there is one.
func matchName(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	rest, ok := strings.CutPrefix(name, parts[0])
	if !ok || len(parts) == 1 {
		return ok && rest == ""
	}
	last := len(parts) - 1
	for _, part := range parts[1:last] {
		if _, rest, ok = strings.Cut(rest, part); !ok {
			return false
		}
	}
	return strings.HasSuffix(rest, parts[last])
}
