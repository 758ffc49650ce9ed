package clusters

import (
	"slices"
	"strings"
)

// inherited are the only variables that a child process gets from the gateway:
// its other ones may hold secrets that are none of the child's business.
var inherited = []string{"PATH", "HOME", "LANG", "TMPDIR"}

// environ is the environment of the command's processes, in a stable order.
func (c *Config) environ(base []string) []string {
	var env []string
	for _, name := range inherited {
		if _, own := c.Env[name]; own {
			continue
		}
		if v := lookEnv(base, name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	for name, v := range c.Env {
		env = append(env, name+"="+v.Text)
	}
	slices.Sort(env)
	return env
}

func lookEnv(environ []string, name string) string {
	for _, kv := range environ {
		if k, v, ok := strings.Cut(kv, "="); ok && k == name {
			return v
		}
	}
	return ""
}
