package session

import (
	"net/http"
	"slices"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

const (
	// sessionCost is what a session takes besides the messages that it keeps, in
	// bytes: that of one whose server is reached over Streamable HTTP.
	sessionCost = 16 << 10
	// sessionsShare is the part of the memory limit, as its divisor, that sessions
	// keep where memory is short for other reasons: giving up those that are idle
	// would not help then.
	sessionsShare = 4
)

// cost is what a session takes, with what its client says of itself.
func (s *session) cost() int64 { return sessionCost + int64(len(s.init)) }

// answer gives the client the answer of its call, or tells it that there is no
// memory for that.
func (c *call) answer(status int, id jsonrpc.ID, body []byte) {
	if !c.out.Offer(status, body) {
		c.Info.SetFlag(filter.FlagOverload)
		c.out.Finish(http.StatusOK, Unheard(id))
	}
}

// Unheard answers a call whose server has answered, where there was no memory to
// keep the answer. It is not 503: the request is not to be sent again.
func Unheard(id jsonrpc.ID) []byte { return Failed(&upstream.TooLongError{Short: true}).Body(id) }

// charge takes more for the session. The error is memory.ErrExhausted.
func (s *session) charge(n int64) error {
	if err := s.registry.opts.Memory.Charge(memory.Session, n); err != nil {
		return err
	}
	s.charged.Add(n)
	if s.life.ctx.Err() != nil {
		s.discharge() // it has ended, and would not return it
	}
	return nil
}

// discharge returns what the session took.
func (s *session) discharge() { s.registry.opts.Memory.Return(memory.Session, s.charged.Swap(0)) }

// relieve gives up what is idle, that longest first: events that clients could
// come back for, and sessions.
func (r *Registry) relieve() {
	surplus := r.opts.Memory.Surplus()
	if surplus <= 0 {
		return
	}
	idle, busy := r.byLastUse()
	for _, s := range append(slices.Clone(idle), busy...) {
		if surplus <= 0 {
			return
		}
		surplus -= s.outlets.store.Discard()
	}
	for _, s := range idle {
		stats := r.opts.Memory.Stats()
		if surplus <= 0 || stats.Charged[memory.Session] <= stats.Limit/sessionsShare {
			return
		}
		if r.admission.take(s) {
			surplus -= s.charged.Load()
			s.end("evicted", errEnded)
		}
	}
}

// byLastUse returns the sessions that nothing uses, and the others, those that
// were used longest ago first.
func (r *Registry) byLastUse() (idle, busy []*session) {
	last := map[*session]time.Time{}
	for _, s := range r.all() {
		var now bool
		if last[s], now = s.life.use(); now {
			busy = append(busy, s)
		} else {
			idle = append(idle, s)
		}
	}
	for _, sessions := range [][]*session{idle, busy} {
		slices.SortFunc(sessions, func(a, b *session) int { return last[a].Compare(last[b]) })
	}
	return idle, busy
}
