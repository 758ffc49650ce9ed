package acme

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/tls/acme/acmetest"
)

func TestGatewaysThatShareAStorageObtainACertificateOnce(t *testing.T) {
	t.Parallel()
	p := acmetest.Start(t, acmetest.Options{})
	first, second := newGateway(t), newGateway(t)
	first.listen(p)
	cfg := configFor(t, p, t.TempDir())
	first.Commit(cfg, []string{name}, both)
	second.Commit(cfg, []string{name}, both)
	for _, g := range []*gateway{first, second} {
		select {
		case e := <-g.events:
			if e != "obtained "+name && e != "loaded "+name {
				t.Fatalf("event %q", e)
			}
		case <-t.Context().Done():
		}
	}
	if !first.leaf(name).Equal(second.leaf(name)) {
		t.Error("the gateways serve different certificates")
	}
	if n := p.Issued(); n != 1 {
		t.Errorf("%d certificates were issued", n)
	}
}

func TestAGatewayAnswersChallengesOfAnother(t *testing.T) {
	t.Parallel()
	for _, challenge := range both {
		t.Run(challenge, func(t *testing.T) {
			p := acmetest.Start(t, acmetest.Options{})
			asks, answers := newGateway(t), newGateway(t)
			answers.listen(p)
			cfg := configFor(t, p, t.TempDir())
			// It wants the name too, but has no way to the authority.
			lost := *cfg
			lost.CACert.Data = nil
			lost.CACert.Path = ""
			answers.timing.retry = 24 * time.Hour
			answers.timing.longest = answers.timing.retry
			answers.Commit(&lost, []string{name}, both)
			answers.await("failed " + name)
			asks.Commit(cfg, []string{name}, []string{challenge})
			asks.await("obtained " + name)
			if answers.httpAnswers.Load()+answers.tlsAnswers.Load() == 0 {
				t.Error("the challenge was not answered by the other gateway")
			}
		})
	}
}

func TestNoPortIsOpened(t *testing.T) {
	for _, challenge := range both {
		t.Run(challenge, func(t *testing.T) {
			_, g, cfg := withAuthority(t, acmetest.Options{})
			before := listening(t)
			if len(before) < 2 {
				t.Fatalf("the listeners of the test are not seen among %v", before)
			}
			seen := make(chan []string, 100)
			// While the challenge is being answered, a solver of certmagic would
			// be listening.
			g.answering = func() { seen <- listening(t) }
			g.Commit(cfg, []string{name}, []string{challenge})
			g.await("obtained " + name)
			if got := <-seen; !slices.Equal(got, before) {
				t.Errorf("listening sockets: %v, before the challenge %v", got, before)
			}
		})
	}
}

// listening are the TCP sockets of this process that listen.
func listening(t *testing.T) []string {
	var ours []string
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal("no /proc, where open ports would be read")
	}
	for _, fd := range fds {
		if target, err := os.Readlink(filepath.Join("/proc/self/fd", fd.Name())); err == nil {
			ours = append(ours, target)
		}
	}
	var found []string
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		data, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			f := strings.Fields(line)
			if len(f) > 9 && f[3] == "0A" && slices.Contains(ours, fmt.Sprintf("socket:[%s]", f[9])) {
				found = append(found, f[1])
			}
		}
	}
	slices.Sort(found)
	return found
}

func TestADifferentAuthorityTakesOver(t *testing.T) {
	t.Parallel()
	from, g := acmetest.Start(t, acmetest.Options{}), newGateway(t)
	g.listen(from)
	to := acmetest.Start(t, acmetest.Options{HTTPPort: from.HTTPPort, TLSPort: from.TLSPort})
	storage := t.TempDir()
	g.Commit(configFor(t, from, storage), []string{name}, both)
	g.await("obtained " + name)
	first := g.leaf(name)

	to.Stop()
	g.Commit(configFor(t, to, storage), []string{name}, both)
	if !g.leaf(name).Equal(first) {
		t.Error("the new authority took the certificate away before it gave one")
	}
	g.await("failed " + name)
	if !g.leaf(name).Equal(first) {
		t.Error("the failure of the new authority took the certificate away")
	}
	again := newGateway(t) // as after a restart
	again.Commit(configFor(t, to, storage), []string{name}, both)
	if !again.leaf(name).Equal(first) {
		t.Error("a restart took the certificate away")
	}
	again.Close()
	to.Restart()
	g.await("obtained " + name)
	g.handshake(name, to.Roots())

	g.Commit(configFor(t, from, storage), []string{name}, both)
	if !g.leaf(name).Equal(first) {
		t.Error("what is stored of the former authority does not serve when it comes back")
	}
}

func TestGatewaysThatShareAStorageRenewACertificateOnce(t *testing.T) {
	t.Parallel()
	p, g, cfg := withAuthority(t, acmetest.Options{})
	g.Commit(cfg, []string{name}, both)
	g.await("obtained " + name)
	first := g.leaf(name)
	g.Close() // its listeners go on

	var renewers []*renewer
	var renewing sync.WaitGroup
	for range 2 {
		renewers = append(renewers, loadedRenewer(g.Manager, accountFor(t, g, cfg), name))
	}
	for _, k := range renewers {
		renewing.Go(func() {
			if err := k.renew(); err != nil {
				t.Error(err)
			}
		})
	}
	renewing.Wait()
	if n := p.Issued(); n != 2 {
		t.Errorf("%d certificates were issued, not the first and one renewal", n)
	}
	if !renewers[0].own.same(renewers[1].own) || renewers[0].own.leaf().Equal(first) {
		t.Error("the gateways do not both have the renewed certificate")
	}
}
