package routes

import "strings"

// table is the routes of one listener. It finds those that may match a request by the
// request's host and path, so that the cost of a request does not grow with the
// number of routes. It is built once and only read afterwards.
type table struct {
	routes []*route // in file order
	// any holds the routes without hosts, exact those of whole host names, and
	// suffixes those of wildcards, by the pattern without its asterisk.
	any      *pathIndex
	exact    map[string]*pathIndex
	suffixes map[string]*pathIndex
}

// pathIndex holds positions in table.routes, in ascending order.
type pathIndex struct {
	exact  map[string][]int
	prefix map[string][]int
	// slashes is the largest number of slashes in a key of prefix: a longer
	// path of a client is looked up no further.
	slashes int
}

// newTable takes those of all routes that belong to the listener.
func newTable(all []*route, listener string) *table {
	t := &table{any: newPathIndex(), exact: map[string]*pathIndex{}, suffixes: map[string]*pathIndex{}}
	for _, rt := range all {
		if !rt.serves(listener) {
			continue
		}
		i := len(t.routes)
		t.routes = append(t.routes, rt)
		if len(rt.hosts) == 0 {
			t.any.add(rt, i)
		}
		for _, p := range rt.hosts {
			by, key := t.exact, p.Exact
			if p.Suffix != "" {
				by, key = t.suffixes, p.Suffix
			}
			if by[key] == nil {
				by[key] = newPathIndex()
			}
			by[key].add(rt, i)
		}
	}
	return t
}

func newPathIndex() *pathIndex {
	return &pathIndex{exact: map[string][]int{}, prefix: map[string][]int{}}
}

func (x *pathIndex) add(rt *route, i int) {
	if rt.exact == "" {
		x.prefix[rt.prefix] = append(x.prefix[rt.prefix], i)
		x.slashes = max(x.slashes, strings.Count(rt.prefix, "/"))
		return
	}
	x.exact[rt.exact] = append(x.exact[rt.exact], i)
	for _, path := range rt.also {
		x.exact[path] = append(x.exact[path], i)
	}
}

// candidates walks in file order through the routes whose host and path fit. A
// route that fits in several ways may come several times.
type candidates struct {
	routes []*route
	// lists[:n] and more are what is left of each list that fits. lists has room
	// for the usual number of them, so that a request allocates nothing.
	lists [8][]int
	n     int
	more  [][]int
}

func (t *table) candidates(host, path string) candidates {
	c := candidates{routes: t.routes}
	c.find(t.any, path)
	if len(t.exact) > 0 {
		c.find(t.exact[host], path)
	}
	if len(t.suffixes) > 0 {
		for i := 1; i < len(host); i++ {
			if host[i] == '.' {
				c.find(t.suffixes[host[i:]], path)
			}
		}
	}
	return c
}

// find adds the lists of one host pattern.
func (c *candidates) find(x *pathIndex, path string) {
	if x == nil {
		return
	}
	c.add(x.exact[path])
	if x.slashes == 0 {
		return
	}
	c.add(x.prefix["/"])
	// A prefix ends at the end of the path, or before a slash.
	for i, slashes := 1, 1; i <= len(path) && slashes <= x.slashes; i++ {
		if i == len(path) || path[i] == '/' {
			c.add(x.prefix[path[:i]])
			slashes++
		}
	}
}

func (c *candidates) add(list []int) {
	switch {
	case len(list) == 0:
	case c.n < len(c.lists):
		c.lists[c.n] = list
		c.n++
	default:
		c.more = append(c.more, list)
	}
}

// next returns the next route in file order, and nil after the last.
func (c *candidates) next() *route {
	var first *[]int
	for i := range c.lists[:c.n] {
		first = earlier(first, &c.lists[i])
	}
	for i := range c.more {
		first = earlier(first, &c.more[i])
	}
	if first == nil {
		return nil
	}
	rt := c.routes[(*first)[0]]
	*first = (*first)[1:]
	return rt
}

// earlier returns the list that begins with the smaller position; a nil or
// empty one begins with none.
func earlier(a, b *[]int) *[]int {
	if len(*b) == 0 || a != nil && (*a)[0] <= (*b)[0] {
		return a
	}
	return b
}
