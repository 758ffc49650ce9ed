package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/clusters/process"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// Prober makes the health checks of kind mcp. It implements clusters.Prober.
// Its fields must not be changed once it is in use.
type Prober struct {
	// Client opens the sessions, and has the processes that serve those of clients
	// too.
	Client *Client
	// Version is the gateway's, for the server's eyes.
	Version string
	// OnIgnored is Options.OnIgnored of its sessions; it may be nil.
	OnIgnored func(cluster, endpoint string, err error, report bool)
}

// params are those of initialize.
func (p *Prober) params() []byte {
	info := jsonrpc.NewObject("name", "mcpgateway", "version", p.Version)
	return jsonrpc.NewObject("protocolVersion", spec.NewestLegacy, "capabilities", []byte("{}"), "clientInfo", info)
}

// NewProbe returns the health check of one endpoint: a ping, or server/discover
// where there are no sessions, on a session that is kept from one check to the
// next. Any JSON-RPC answer, an error too, is that of a healthy server.
func (p *Prober) NewProbe(c *clusters.Cluster, e *clusters.Endpoint) clusters.Probe {
	b := &probe{prober: p, cluster: c, endpoint: e}
	if c.IsCommand() {
		b.watched = p.Client.shared.watch(e)
	}
	return b
}

// probe is the health check of one endpoint. Its methods are not called
// concurrently.
type probe struct {
	prober   *Prober
	cluster  *clusters.Cluster
	endpoint *clusters.Endpoint
	session  *Session
	backoff  process.Backoff
	launched *attempt  // a process that is starting; nil: none
	since    time.Time // when launched began
	anew     bool      // it takes the place of one that does not answer
	failures int       // of pings, in a row, where each alone makes no new session
	proven   bool      // a command of one process has been seen to work
	answered bool      // a ping, or sign, has been answered once
	sign     string    // a method that is asked instead of ping; "": none
	// watched ends the care for the process that sessions share.
	watched func(context.Context)
	// spare is what becomes of the process of a command that may run once only:
	// the first session gets it. nil: none does.
	spare *spare
	// offered is the last one that was known.
	offered *spare
}

// Check pings, and initialises if there is no session or the ping fails: a
// server that was restarted says in many ways that it does not know the session,
// and only what a new session meets counts. A command that may run once only is
// tried once: its process is for the sessions, whose own failures tell the rest.
func (p *probe) Check(ctx context.Context) error {
	if p.proven {
		return nil
	}
	err := p.check(ctx)
	if errors.Is(err, clusters.ErrStarting) {
		return err
	}
	if p.cluster.IsCommand() && p.cluster.Config().MaxProcesses == 1 && (p.session == nil || !p.session.shares()) {
		p.proven = err == nil
		if p.session != nil && p.session.server == nil {
			p.offer(p.session)
			p.session = nil
			return err
		}
		p.leave(ctx)
	}
	p.offer(nil)
	return err
}

// offer leaves the process of s, which rests, to the first session, and tells
// those that wait for it. With nil there is none.
func (p *probe) offer(s *Session) {
	if p.spare == nil {
		return
	}
	p.prober.Client.spares.offer(p.endpoint, p.spare, s)
	p.spare, p.offered = nil, p.spare
}

// withdraw ends the process that was offered, unless a session has it.
func (p *probe) withdraw(ctx context.Context) {
	if sp := p.offered; sp != nil && p.prober.Client.spares.remove(p.endpoint, sp) {
		sp.session.Close(ctx)
	}
}

func (p *probe) check(ctx context.Context) error {
	defer p.rest()
	if p.use(ctx) {
		err := p.ping(ctx)
		if err == nil {
			p.failures, p.answered = 0, true
			return nil
		}
		p.sign = p.otherSign()
		if p.session.server.Modern() && !p.cluster.IsCommand() && p.session.Err() == nil {
			// There is no session that the server could have lost. A new one would
			// be made of what is known about the server, and ask nothing.
			if p.failures++; p.failures < p.threshold() {
				return verdict(err)
			}
			p.prober.Client.of(p.cluster, p.endpoint).doubt() // an older server does not know the question
		}
		if p.session.shares() && p.session.Err() == nil && ctx.Err() == nil {
			// A tool may keep the process busy for a while. Where it does not
			// come back, others must not wait for it.
			if p.failures++; p.failures < p.threshold() {
				return verdict(err)
			}
			p.anew = true
		}
		p.failures = 0
		if p.cluster.IsCommand() {
			p.leave(ctx) // its process makes room for the next one
		} else {
			// The server may be slow to part with the session, or not answer.
			defer p.session.Close(ctx)
			p.session = nil
		}
		if ctx.Err() != nil {
			return verdict(err)
		}
	}
	var err error
	if p.cluster.IsCommand() {
		p.session, err = p.launch(ctx)
	} else {
		p.session, err = p.open(ctx, nil)
		if err == nil && p.session.server.Modern() {
			err = p.ping(ctx) // all that it is made of may be known
		}
	}
	return verdict(err)
}

// threshold is how many failures in a row make the endpoint unhealthy.
func (p *probe) threshold() int {
	if health := p.cluster.Config().HealthCheck; health != nil {
		return health.UnhealthyThreshold
	}
	return 1
}

func (p *probe) open(ctx context.Context, spare *spare) (*Session, error) {
	ignored := func(err error, report bool) {
		if p.prober.OnIgnored != nil {
			p.prober.OnIgnored(p.cluster.Name(), p.endpoint.ID(), err, report)
		}
	}
	opts := Options{
		OnIgnored: ignored,
		// Servers of either era take what the newer one says; the older one's
		// first words make no sense to those that are newer only.
		Modern:  true,
		Init:    p.prober.params(),
		Backoff: &p.backoff,
	}
	if spare != nil {
		opts.OnMessage, opts.OnIgnored = spare.message, spare.ignored(ignored)
	}
	return p.prober.Client.open(ctx, p.cluster, p.endpoint, opts, &check{anew: p.anew, spare: spare})
}

// launch starts a process, which goes on starting when ctx, the time of one
// check, ends: a later check takes it over.
func (p *probe) launch(ctx context.Context) (*Session, error) {
	l := p.launched
	if l == nil {
		if p.cluster.Config().MaxProcesses == 1 {
			p.spare = p.prober.Client.spares.expect(p.endpoint)
		}
		spare := p.spare
		l = begin(context.WithoutCancel(ctx), func(ctx context.Context, _ context.CancelCauseFunc) (*Session, error) { return p.open(ctx, spare) })
		p.launched, p.since = l, time.Now()
	}
	select {
	case <-l.done:
		p.launched = nil
		if p.anew && errors.Is(l.err, process.ErrOverflow) {
			p.prober.Client.shared.giveUp(ctx, p.endpoint)
		}
		p.anew = false
		return l.session, l.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w, since %v", clusters.ErrStarting, time.Since(p.since).Round(time.Second))
	}
}

// use reports whether there is a session to ask. One whose process was stopped
// for a session of a client is none.
func (p *probe) use(ctx context.Context) bool {
	if p.session == nil {
		return false
	}
	if process := p.session.Process(); process != nil {
		if process.Use(); process.Taken() {
			p.leave(context.Background()) // it is ending already
			return false
		}
		if p.session.server.Modern() && !p.prober.Client.shared.isApart(p.endpoint) {
			p.leave(ctx) // the one that sessions share from now on is to be watched
			return false
		}
	}
	return true
}

// rest lets the session's process be stopped where a client needs its place.
func (p *probe) rest() {
	if p.session != nil {
		if process := p.session.Process(); process != nil {
			process.Rest()
		}
	}
}

// Close ends the session, and the process that sessions share unless one does.
func (p *probe) Close(ctx context.Context) {
	p.leave(ctx)
	p.offer(nil)
	p.withdraw(ctx)
	if p.watched != nil {
		p.watched(ctx)
	}
}

// leave ends the session.
func (p *probe) leave(ctx context.Context) {
	if l := p.launched; l != nil {
		p.launched = nil
		l.cancel(nil)
		<-l.done // a process that is cancelled at its start is killed
		p.session = l.session
	}
	if p.session != nil {
		p.session.Close(ctx)
		p.session = nil
	}
}

// ping asks on the kept session, and leaves half of the time for a new one.
func (p *probe) ping(ctx context.Context) error {
	if until, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(until)/2)
		defer cancel()
	}
	if p.sign == "" || p.session.server.Modern() {
		return p.session.Ping(ctx)
	}
	id := p.session.NextID()
	_, err := p.session.Call(ctx, jsonrpc.NewRequest(id, p.sign, nil), id, func(*jsonrpc.Message) {})
	return err
}

// otherSign returns what is asked from now on when the kept session gave no sign
// of life: some servers do not answer ping at all, and each check would take a
// new session, or a new process.
func (p *probe) otherSign() string {
	if p.answered || p.sign != "" || p.session.server.Modern() {
		return ""
	}
	capabilities := p.session.server.Result.Result().Get("capabilities")
	for _, list := range []string{"tools", "prompts", "resources"} {
		if capabilities.Get(list).Exists() {
			return list + "/list"
		}
	}
	return ""
}

// verdict is what an error says about the server's health.
func verdict(err error) error {
	var refused *InitializeError
	var status *StatusError
	switch {
	case errors.As(err, &refused):
		return nil
	case errors.Is(err, process.ErrOverflow):
		return nil // as many as may run do run
	case errors.Is(err, ErrUnauthorized):
		return fmt.Errorf("%w: %w", clusters.ErrUnauthorized, err)
	case errors.As(err, &status) && status.Response != nil && status.Code < http.StatusInternalServerError:
		return nil
	}
	return err
}
