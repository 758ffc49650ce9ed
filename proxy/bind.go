package proxy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/mcpgateway/mcpgateway/listeners"
	"github.com/mcpgateway/mcpgateway/proxy/admin"
)

// bindSockets binds the addresses that are not held yet. Their acceptors
// start at commit, so a connection that comes early waits in the backlog.
func (p *preparation) bindSockets() error {
	var secret []byte
	if keys := p.gen.config.stateKeys(); len(keys) > 0 {
		secret = keys[0]
	}
	p.onDiscard(p.shared.sockets.UseSecret(secret))
	bound := map[*listeners.Socket]bool{}
	if p.old != nil {
		for _, s := range p.old.served {
			bound[s.socket] = true
		}
	}
	for i := range p.gen.served {
		s := &p.gen.served[i]
		if err := p.bindSocket(s, bound); err != nil {
			return err
		}
		for _, other := range p.gen.served[:i] {
			if other.socket == s.socket {
				// Two spellings that only the system knows to be one.
				return fmt.Errorf("listener %s: %s is also the address of listener %s (%s)", s.config.Name, s.config.Address, other.config.Name, other.config.Address)
			}
		}
	}
	return nil
}

// anyPortTries bounds the search for a port, where the kernel picks it, that is
// free for TCP and for UDP.
const anyPortTries = 20

func (p *preparation) bindSocket(s *served, bound map[*listeners.Socket]bool) error {
	for try := 1; ; try++ {
		err := p.bindOnce(s, bound)
		if err == nil {
			return nil
		}
		if try == anyPortTries || !strings.HasSuffix(s.config.Address, ":0") || !errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("listener %s: %w", s.config.Name, err)
		}
	}
}

func (p *preparation) bindOnce(s *served, bound map[*listeners.Socket]bool) (err error) {
	giveUp := func() {}
	if before := p.old.find(s.config.Name); before != nil && before.config.Address == s.config.Address {
		s.socket = before.socket
	} else {
		if s.socket, err = p.shared.sockets.Bind(s.config.Address); err != nil {
			return err
		}
		if !bound[s.socket] {
			giveUp = s.socket.Close
		}
	}
	if slices.Contains(s.config.Protocols, "h3") {
		undo, err := s.socket.BindQUIC()
		if err != nil {
			giveUp()
			return err
		}
		p.onDiscard(undo)
	}
	p.onDiscard(giveUp)
	return nil
}

func (p *preparation) bindAdmin(before *admin.Config) (err error) {
	c := p.gen.config.Admin
	if c == nil || before != nil && before.Address == c.Address {
		return nil
	}
	if p.admin, err = p.shared.listenAdmin(*c); err != nil {
		return err
	}
	p.onDiscard(p.admin.Unbind)
	return nil
}
