package seal

import (
	"strings"
	"time"
)

// idSeparator stands between a cluster, whose name cannot hold it, and an id.
const idSeparator = "\x00"

// ID returns what a client calls an id of a cluster: the same each time, since clients
// compare ids. The Method of the scope says what kind of id it is.
func (s *Sealer) ID(in Scope, cluster, own string) string {
	return s.sealSame(in, []byte(cluster+idSeparator+own))
}

// OpenID returns whose id it is, and what its owner calls it.
func (s *Sealer) OpenID(in Scope, text string, now time.Time) (cluster, own string, ok bool) {
	plain, ok := s.open(in, text, now)
	if !ok {
		return "", "", false
	}
	return strings.Cut(string(plain), idSeparator)
}
