package config

// trail is the path to the value at hand. It is written only where something is
// reported of the value.
type trail []step

// key goes down to the value of a key, index to an element of a list, and up back
// to what holds them.
func (t *trail) key(name string) { *t = append(*t, step{name, -1}) }
func (t *trail) index(i int)     { *t = append(*t, step{index: i}) }
func (t *trail) up()             { *t = (*t)[:len(*t)-1] }

// String is the path as messages show it: clusters[1].headers["a.b"].
func (t trail) String() string {
	path := ""
	for _, s := range t {
		if s.index >= 0 {
			path = atIndex(path, s.index)
		} else {
			path = atKey(path, s.key)
		}
	}
	return path
}
