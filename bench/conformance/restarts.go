package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

const (
	// checks is the interval of the gateway's health checks. So many of them have to
	// fail in a row that a restart makes no endpoint unhealthy. As many run while a
	// client does nothing, which finds an endpoint whose check goes on with a session
	// that is gone.
	checks     = 250 * time.Millisecond
	checksFail = 20
	// stays is how long a server runs at least before it is restarted again: one
	// check runs in that time. If all checks ran while the server is away, the
	// gateway would be right to call the endpoint unhealthy.
	stays = 2 * checks
	// healing is how long the gateway has until it takes a server for healthy.
	healing = 15 * time.Second
	// restartCount is how often a server is restarted while it is called. Each
	// client has to have called it so often before the next.
	restartCount = 10
	enough       = 3
	// pace is the time between two calls of a client.
	pace = 20 * time.Millisecond
)

// restarts are what happened while a server was restarted again and again under
// clients that call it all the time.
type restarts struct {
	began   time.Time
	outages []span
}

// span is from one moment to another, since the restarts began.
type span struct{ from, till time.Duration }

// attempt is one call of a client under the restarts.
type attempt struct {
	span
	what string
	safe bool // to be repeated: it changes nothing
	err  error
}

// restartUnderLoad restarts a server of HTTP ten times under the load of the clients
// that come through the gateway. Directly their sessions are gone after the
// first.
func (p *trial) restartUnderLoad(ctx context.Context) error {
	if p.server == nil {
		return nil
	}
	s := &p.restarts
	s.began = time.Now()
	over := make(chan struct{})
	made := map[*participant][]attempt{}
	var mu sync.Mutex
	var calling sync.WaitGroup
	for _, v := range p.participants {
		if v.way == 0 {
			continue
		}
		calling.Go(func() {
			attempts := v.callUntil(over, s.began)
			mu.Lock()
			defer mu.Unlock()
			made[v] = attempts
		})
	}
	err := p.restartOften(ctx)
	close(over)
	calling.Wait()
	if err != nil {
		return err
	}
	for v, attempts := range made {
		v.note("restarted ten times", s.judge(v, attempts))
	}
	healed := p.healed(ctx)
	p.each(func(v *participant) {
		if v.way == 0 {
			return
		}
		v.note("after ten restarts", errors.Join(v.tools(), v.counted()))
		v.note("healthy again", healed)
		if v.client.name == p.sdk.name {
			other := participate(ctx, p, v.client, v.way)
			v.note("new client", errors.Join(other.dead, other.tools(), other.counted()))
			other.leave()
		}
	})
	return ctx.Err()
}

// healed waits until the gateway says that the server is healthy.
func (p *trial) healed(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healing)
	defer cancel()
	for {
		healthy, err := p.healthy(ctx)
		if healthy {
			return nil
		}
		select {
		case <-time.After(checks / 10):
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("its endpoint is not healthy %s after the last restart", healing), err)
		}
	}
}

func (p *trial) healthy(ctx context.Context) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.zoo.metrics, nil)
	if err != nil {
		return false, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "mcpgateway_cluster_endpoint_healthy{") && strings.Contains(line, `cluster="`+p.name()+`"`) {
			return strings.HasSuffix(line, " 1"), nil
		}
	}
	return false, lines.Err()
}

// restartOften restarts the server, each time when every client has called it.
func (p *trial) restartOften(ctx context.Context) error {
	for n := range restartCount {
		stayed := time.After(stays)
		p.called(ctx)
		<-stayed
		from := time.Since(p.restarts.began)
		p.server.end(time.Duration(n%2) * grace / 2)
		if err := p.begin(ctx); err != nil {
			return err
		}
		p.restarts.outages = append(p.restarts.outages, span{from, time.Since(p.restarts.began)})
	}
	p.called(ctx)
	return ctx.Err()
}

// called waits until each client that comes through the gateway has called the
// server often enough. A client that has not done so in time has lost calls.
func (p *trial) called(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, healing)
	defer cancel()
	for _, v := range p.participants {
		for before := v.good.Load(); v.way > 0 && v.good.Load() < before+enough; {
			select {
			case <-time.After(pace):
			case <-ctx.Done():
				return
			}
		}
	}
}

// callUntil calls the server until the restarts are over.
func (v *participant) callUntil(over <-chan struct{}, began time.Time) (made []attempt) {
	calls := []struct {
		what string
		safe bool
		do   func() error
	}{
		{spec.ToolsCall, false, v.counted},
		{spec.ToolsList, true, v.tools},
		{spec.ResourcesRead, true, func() error { return v.expect(question{Do: "read", Name: v.uri()}, "a zebra") }},
	}
	for n := 0; v.dead == nil; n++ {
		select {
		case <-over:
			return made
		case <-time.After(pace):
		}
		c := calls[n%len(calls)]
		a := attempt{what: c.what, safe: c.safe}
		a.from = time.Since(began)
		a.err = c.do()
		a.till = time.Since(began)
		if a.err == nil {
			v.good.Add(1)
		}
		made = append(made, a)
	}
	return made
}

// judge returns the failures that no outage explains. A call that was in flight
// when the server was killed, or came while it was away, may fail if the client is
// told why; a call that began later may not.
func (s *restarts) judge(v *participant, made []attempt) error {
	var unexplained []error
	v.calls = len(made)
	for _, a := range made {
		if a.err == nil {
			continue
		}
		if s.explains(a, zooWays[v.way] == "federation") {
			v.excused++
			continue
		}
		unexplained = append(unexplained, fmt.Errorf("%s %s: %w", a.what, s.place(a), a.err))
	}
	if good := v.good.Load(); good < restartCount*enough {
		unexplained = append(unexplained, fmt.Errorf("only %d of %d calls succeeded", good, len(made)))
	}
	return errors.Join(unexplained...)
}

func (s *restarts) explains(a attempt, federated bool) bool {
	for _, o := range s.outages {
		till := o.till
		if noticed(o.till - o.from) {
			till += healing
		}
		if a.from > till || a.till < o.from {
			continue
		}
		// A federation lists what is left, and says in _meta what is not.
		return clear(a.err.Error()) || a.what == spec.ToolsList && federated && strings.Contains(a.err.Error(), listed+"[]")
	}
	return false
}

// noticed reports whether a server was away for so long that the health checks may
// have called it unhealthy, and first have to call it healthy again.
func noticed(away time.Duration) bool { return away > checks*(checksFail-1) }

// back starts the server again that was taken away at a time, and waits until it
// is found if that was long ago: on a machine that does much else servers start
// slowly.
func (p *trial) back(ctx context.Context, away time.Time) error {
	if err := p.begin(ctx); err != nil || !noticed(time.Since(away)) {
		return err
	}
	return p.healed(ctx)
}

// place tells where a call was among the outages.
func (s *restarts) place(a attempt) string {
	for i := len(s.outages) - 1; i >= 0; i-- {
		if o := s.outages[i]; o.from <= a.till {
			return fmt.Sprintf("that took %v, and ended %v after restart %d began, %v after the server was back", (a.till - a.from).Round(time.Millisecond), (a.till - o.from).Round(time.Millisecond), i+1, (a.till - o.till).Round(time.Millisecond))
		}
	}
	return "before the first restart"
}
