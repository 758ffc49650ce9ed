package routes

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/mcpgateway/mcpgateway/internal/hostname"
)

// Shadow is a route that never serves a request.
type Shadow struct {
	// Route and By are positions in the list of routes. Whatever Route matches, By
	// matches too, and comes first.
	Route, By int
}

// Shadowed finds routes that get no request, since an earlier one matches all of
// theirs. Their listeners are resolved to names. It reports only what is sure: it
// does not find a route whose requests several earlier ones match together, and of
// conditions on headers it knows that equal ones match alike, and that a value
// implies presence.
func Shadowed(cfgs []Config) []Shadow {
	s := shadows{reaches: make([]reach, 0, len(cfgs)), kept: make(map[shadowKey][]int, len(cfgs))}
	for i := range cfgs {
		s.add(newReach(&cfgs[i]))
	}
	return s.found
}

// Bounds of what is looked at for one route, so that the time for a file grows as
// the number of its routes does.
const (
	maxCompared = 16 // routes of one key
	maxLevels   = 32 // labels of a host, segments of a path
	maxFacts    = 8  // conditions on headers
)

// shadows goes through routes in file order.
type shadows struct {
	reaches []reach
	// kept are positions in reaches of routes that serve requests, at most
	// maxCompared for each key.
	kept  map[shadowKey][]int
	found []Shadow
	// prefixLevels is the most segments of a kept route's prefix.
	prefixLevels int
	// steps counts the keys that were looked up and the routes compared.
	steps int
}

// shadowKey is where a later route finds one that may match all of its requests.
type shadowKey struct {
	host    hostname.Pattern // zero is any
	path    string
	prefix  bool // path is the first segments, not the whole
	headers string
}

// reach is which requests a route matches. Lists of strings are sorted.
type reach struct {
	hosts   []hostname.Pattern
	hostSet map[hostname.Pattern]bool
	// exact are whole paths; prefix is set where there are none.
	exact     []string
	prefix    string
	methods   []string
	listeners []string
	// headers are the conditions, and facts what they imply: themselves, and that
	// the field is there.
	headers, facts []string
	// unknown: the route does not compile.
	unknown bool
}

func newReach(c *Config) reach {
	r := reach{methods: sorted(c.methods()), listeners: sorted(c.Listeners), hostSet: make(map[hostname.Pattern]bool, len(c.Match.Hosts))}
	if c.Match.Path != "" {
		r.exact = append(r.exact, c.Match.Path)
	} else {
		r.prefix = c.Match.prefix()
	}
	if c.MCP != nil {
		r.unknown = c.Match.Path == "" // an mcp route has a path
		r.exact = sorted(append(r.exact, c.OtherPaths()...))
	}
	for _, h := range c.Match.Hosts {
		p, err := hostname.ParsePattern(h)
		r.unknown = r.unknown || err != nil
		r.hosts = append(r.hosts, p)
		r.hostSet[p] = true
	}
	for _, h := range c.Match.Headers {
		name := http.CanonicalHeaderKey(h.Name)
		present := name + " present"
		switch {
		case h.Exact != "":
			r.headers = append(r.headers, name+" exact "+strconv.Quote(h.Exact))
		case h.Prefix != "":
			r.headers = append(r.headers, name+" prefix "+strconv.Quote(h.Prefix))
		case h.Regex != "":
			r.headers = append(r.headers, name+" regex "+strconv.Quote(h.Regex))
		case h.Present:
			r.headers = append(r.headers, present)
			continue
		default:
			r.headers = append(r.headers, name+" absent")
			continue
		}
		r.facts = append(r.facts, present)
	}
	r.headers = sorted(r.headers)
	r.facts = sorted(append(r.facts, r.headers...))
	return r
}

func sorted(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }

// covers reports whether a matches every request that b matches.
func (a *reach) covers(b *reach) bool {
	return a.coversMethods(b) && a.coversPaths(b) && a.coversHosts(b) && contains(b.facts, a.headers) && contains(a.listeners, b.listeners)
}

// contains reports whether all of some are in all, which is sorted.
func contains(all, some []string) bool {
	return !slices.ContainsFunc(some, func(one string) bool {
		_, found := slices.BinarySearch(all, one)
		return !found
	})
}

func (a *reach) coversMethods(b *reach) bool {
	return len(a.methods) == 0 || len(b.methods) > 0 && contains(a.methods, b.methods)
}

func (a *reach) coversPaths(b *reach) bool {
	switch {
	case len(a.exact) > 0:
		return len(b.exact) > 0 && contains(a.exact, b.exact)
	case len(b.exact) == 0:
		return underPrefix(b.prefix, a.prefix)
	}
	return !slices.ContainsFunc(b.exact, func(path string) bool { return !underPrefix(path, a.prefix) })
}

func (a *reach) coversHosts(b *reach) bool {
	if len(a.hosts) == 0 {
		return true
	}
	return len(b.hosts) > 0 && !slices.ContainsFunc(b.hosts, func(p hostname.Pattern) bool {
		return !slices.ContainsFunc(wider(p), func(w hostname.Pattern) bool { return a.hostSet[w] })
	})
}

// wider lists patterns that cover p, itself first.
func wider(p hostname.Pattern) []hostname.Pattern {
	list := []hostname.Pattern{p}
	name := p.Exact + p.Suffix
	for i := 1; i < len(name) && len(list) < maxLevels; i++ {
		if name[i] == '.' {
			list = append(list, hostname.Pattern{Suffix: name[i:]})
		}
	}
	return list
}

// add looks for an earlier route that matches all requests of this one, and keeps
// this one where there is none.
func (s *shadows) add(r reach) {
	i := len(s.reaches)
	s.reaches = append(s.reaches, r)
	if r.unknown {
		return
	}
	if by := s.find(&r); by >= 0 {
		s.found = append(s.found, Shadow{Route: i, By: by})
		return
	}
	key := shadowKey{headers: strings.Join(r.headers, "\n"), prefix: len(r.exact) == 0}
	hosts, paths := r.hosts, r.exact
	if len(hosts) == 0 {
		hosts = []hostname.Pattern{{}}
	}
	if key.prefix {
		paths = []string{r.prefix}
		s.prefixLevels = max(s.prefixLevels, strings.Count(r.prefix, "/"))
	}
	for _, key.host = range hosts {
		for _, key.path = range paths {
			if list := s.kept[key]; len(list) < maxCompared {
				s.kept[key] = append(list, i)
			}
		}
	}
}

// find returns the position of a route that covers r, or -1. Such a route stands
// under a key for each host and path of its own: one of them covers r's first host,
// and one its first path.
func (s *shadows) find(r *reach) int {
	hosts := []hostname.Pattern{{}}
	if len(r.hosts) > 0 {
		hosts = append(hosts, wider(r.hosts[0])...)
	}
	headers := sorted(append([]string{"", strings.Join(r.headers, "\n")}, r.facts[:min(len(r.facts), maxFacts)]...))
	best, keys := -1, s.keys(r)
	for _, h := range hosts {
		for _, conditions := range headers {
			for _, key := range keys {
				key.host, key.headers = h, conditions
				s.steps++
				for _, i := range s.kept[key] {
					if best >= 0 && i >= best {
						break
					}
					s.steps++
					if s.reaches[i].covers(r) {
						best = i
						break
					}
				}
			}
		}
	}
	return best
}

// keys are what can cover the first path.
func (s *shadows) keys(r *reach) []shadowKey {
	keys, path := []shadowKey{{path: "/", prefix: true}}, r.prefix
	if len(r.exact) > 0 {
		path = r.exact[0]
		keys = append(keys, shadowKey{path: path})
	}
	for i, levels := 1, 0; i <= len(path) && levels < min(s.prefixLevels, maxLevels); i++ {
		if i == len(path) || path[i] == '/' {
			levels++
			keys = append(keys, shadowKey{path: path[:i], prefix: true})
		}
	}
	return keys
}
