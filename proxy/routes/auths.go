package routes

import (
	"sync/atomic"

	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
)

// authSet holds the authentication of a Router's routes, one for each content
// of an auth block: generations that do not change the block go on with the keys
// that were fetched for it.
type authSet map[[32]byte]*sharedAuth

// sharedAuth is closed when the last Router that holds it is closed.
type sharedAuth struct {
	*filter.Auth
	holders atomic.Int32
}

// get returns the Auth of a block: this Router's, else that of the Router
// before it, else a new one.
func (s authSet) get(cfg *filter.AuthConfig, deps Deps) (*filter.Auth, error) {
	sum := config.Fingerprint(cfg)
	if a, ok := s[sum]; ok {
		return a.Auth, nil
	}
	a := (*sharedAuth)(nil)
	if deps.Previous != nil {
		a = deps.Previous.auths[sum]
	}
	if a == nil {
		auth, err := filter.NewAuth(cfg, deps.AuthTrace)
		if err != nil {
			return nil, err
		}
		a = &sharedAuth{Auth: auth}
	}
	a.holders.Add(1)
	s[sum] = a
	return a.Auth, nil
}

func (s authSet) release() {
	for _, a := range s {
		if a.holders.Add(-1) == 0 {
			a.Close()
		}
	}
}
